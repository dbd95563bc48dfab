// Package lockfile lets one process at a time own something on disk: a
// directory, or a file that several programs must not open at once.
//
// # Basics
//
// A [Lock] is flock(2) on a file of its own, and ends with the process. Release
// removes the file; a process that is killed leaves it behind, which means
// nothing: the lock, not the file, is what counts. [Holder] says who holds one, and
// does not take it.
//
// # Caveats
//
// The process ID in the file is there to be read by people. On network file systems
// flock may not keep other machines away.
package lockfile
