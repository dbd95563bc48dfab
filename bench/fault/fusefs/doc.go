// Package fusefs is a file system for victims: programs that know nothing of it,
// whose machine loses power and whose disk fails.
//
// # The nouns
//
// An [FS] is a mounted file system. What is written to it goes on to a backing
// directory at once, and is remembered until it has been synced. A [Rule] makes
// operations fail or wait. A [Loss] says what a loss of power took.
//
// # Basics
//
//	f, err := fusefs.Mount(fusefs.Config{Back: back, Mountpoint: dir})
//	// start victims that write into dir; kill them with SIGKILL
//	loss, err := f.PowerLoss(rng, 0) // what was not synced is gone
//	// start victims again, on the same dir
//	err = f.Unmount()
//
// # What a loss of power does
//
// A file is taken back to what it was at its last fsync. Of the sectors of 512
// bytes that were written since, a seeded part survives: with keep 0 none, with
// keep 1 all, in between a torn and reordered file. A sector that was written more
// than once may survive as it was in between. Truncation is one of the things that
// may survive or not.
//
// A created, renamed or removed name is durable after fsync of the directory that
// it is in, and not by fsync of the file: this is what POSIX promises, and no more.
// Of the changes that were not made durable, the first ones survive and the rest
// do not, as after a journal was replayed; a rename is never half there. With
// Config.KeepNames all survive, because ext4 in practice often keeps them: there,
// fsync of any file commits the names before it too. A name whose file was never
// synced is then an empty file.
//
// Mode, owner and times are durable at once. So is all of a file that is written
// through O_SYNC or O_DSYNC. sync(2) and syncfs(2) make nothing durable here.
//
// After an fsync that a rule made fail, what it should have written is lost at the
// next loss of power, even if a later fsync succeeds, unless it was written again:
// this is what Linux does with a page that it could not write.
//
// # Caveats
//
// It needs Linux, and the right to mount: see [Available].
//
// The file system is served by the process that mounted it. That process must not
// start a program in a directory of it, or while it has a file of it open: the Go
// runtime stands still while it forks, and could not answer the program. Nor may it
// map a file, as SQLite and bbolt do: it would wait for itself, so that this is
// refused with ENODEV. A database is to be looked at by another process.
//
// PowerLoss unmounts and mounts again, which is what empties the caches of the
// kernel. So no process may use the file system then, and none may look in
// between, when the mountpoint is an empty directory.
//
// What the kernel has read it does not read again while the file is open: rules
// for reads apply to the first read after opening, and it reads ahead.
package fusefs
