// Package corruption damages every part of every file of a store at rest, and holds
// what the store makes of it when it is started against what it had acknowledged.
//
// # The nouns
//
// An image is a disk ([trihold/internal/simdisk]) with a store at rest on it, and the
// content that the store had. There are images of stores that were closed, of such
// whose process was killed, and of such that a crash left with a commit written by
// half. A part is what a byte of a file stands for, such as the length of a log entry
// ([trihold/internal/anatomy]). A case is one damage to one part of one file of an
// image; [Damages] lists the damages.
//
// # What is held to be true
//
// A store that was damaged either refuses to start, with ErrCorrupt, naming a file
// that was damaged or is missing, and what to do; or it starts with exactly the
// content that it had, and goes on. Everything else is a failure: other content
// above all, which is called silent, and an error that helps nobody. A store that
// has refused is as it was once the damage is undone.
//
// # Seeds
//
// The seed of an image decides what is written to it, how it ends, and which bytes of
// a part are hit. Which commits share a log entry, and where snapshots begin, is left
// to the scheduler, so a failure says all that there is to know about its case.
//
// # Caveats
//
// One damage at a time: two that fit together can do more. An older copy of the whole
// directory is no damage that its files could tell.
package corruption
