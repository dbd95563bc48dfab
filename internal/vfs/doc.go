// Package vfs is the disk as the in-memory store's log and snapshots see it, so
// that tests can own it: [OS] is the real one, package simdisk has one that loses power.
//
// # Basics
//
// An [FS] opens, renames and lists files; a [File] is an open one. The interfaces hold
// what durable files need and nothing else. Names are paths of the operating system.
//
// # Caveats
//
// A file is durable by its own Sync, its name by SyncDir of its directory. The methods
// do neither by themselves unless they say so.
package vfs
