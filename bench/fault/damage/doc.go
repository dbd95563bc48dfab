// Package damage changes files at rest as failing disks, and people, do: between
// the end of a process and the start of the next one.
//
// # The nouns
//
// A [Kind] of damage is a flipped bit, a zeroed sector, a lost file and the like. A
// [Target] is the directory that it happens in. [Done] is what has been changed, to
// the byte.
//
// # Basics
//
// Find lists the files that may be hit, and Apply damages one of them at a place
// that a random source chooses: the same source on the same files does the same.
//
//	logs, err := damage.Find(dir, "*.log")
//	done, err := damage.Apply(rng, damage.Target{Dir: dir}, logs, damage.FlipBit)
//
// Every damage is real: afterwards the file differs from what it was. Where that
// cannot be, such as where all that could be zeroed is zero, Apply goes to another
// file, and at last returns [ErrNothing].
//
// Save copies a directory and Restore puts the copy in its place: a machine that
// is restarted from an older copy of its disk. A copy is also what the kind
// [OldVersion] takes its files from.
//
// # What is hit
//
// Files that are filled with zeros in advance end with bytes that nobody reads.
// Bits are flipped, and files are cut, before those, and no bit is flipped in a
// sector of nothing but zeros. Target.Everywhere lifts that.
//
// # Caveats
//
// Nothing outside of the directory is changed: names that lead out of it are
// refused, symbolic links are not followed, and a file that has a second name
// anywhere, a hard link, is not changed in place. Files keep their mode, owner and
// modification time, since those tell a store nothing about a failing disk either.
//
// No process may have the files open. What was changed need not have reached the
// disk; it is what the next process reads.
package damage
