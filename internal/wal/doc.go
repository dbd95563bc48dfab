// Package wal is an append-only log of numbered entries in segment files.
//
// A [Log] holds entries with consecutive indices from some first one on. Append
// writes one entry with one write and one sync, into a file that was filled with
// zeros beforehand: overwriting written blocks is cheaper to sync than growing a
// file. DropBefore removes old segments.
//
// # Format
//
// A segment file is named after the index of its first entry, in hex, and has
// its full size from the start. All numbers are little endian, all checksums
// CRC-32C. Each of the first three parts has a 4 KiB block of its own, so that a
// damaged block of the disk hits one of them.
//
//	block 0: segment header
//	  0  magic "TRIHLOG1"
//	  8  format version, 4 bytes; lowest version that can read it, 4 bytes
//	 16  store ID, 16 bytes
//	 32  index of the first entry, 8 bytes
//	 40  checksum of the entry before that one, 4 bytes
//	 48  size of the file, 8 bytes
//	 60  checksum of the 60 bytes before, 4 bytes
//
//	blocks 1 and 2: floors, written in turn; the higher valid one counts
//	  0  magic "FLOR"
//	  4  1 if a segment follows, else 0, 4 bytes
//	  8  index of an entry that was synced, 8 bytes
//	 16  checksum of that entry, 4 bytes
//	 20  checksum of the 20 bytes before, 4 bytes
//
//	from block 3 on: entries, each at a multiple of 8
//	  0  magic "ENTR"
//	  4  length of the payload, 4 bytes
//	  8  index, 8 bytes
//	 16  checksum of the entry before, 4 bytes
//	 20  checksum of the 20 bytes before and of the payload, 4 bytes
//	 24  payload
//
// # What opening a damaged log finds
//
// Entries are chained by their checksums, and an entry is written only after the
// one before it has been synced. So the only damage that a crash can leave is in
// the last entry, with nothing valid behind it: a torn tail, which is cut off
// and counted. Any other damage is [driver.ErrCorrupt], and the log does not
// open: a missing, shortened or foreign segment, an entry that is not readable
// though a later one is, or though a floor says that it was synced.
//
// Damage after the fact to the very last entry looks like a torn tail unless a
// floor covers that entry. The file "tide" holds one that is written after every
// entry and not synced, which covers all entries unless the machine loses power.
// For that case Mark writes one into the segment and syncs both; the owner calls it
// when the log has been idle for a moment, and Open and Close call it. What remains
// is damage to entries of the last moments before a loss of power, done before the
// log is opened again.
//
// With Config.NoSync all this holds as long as the machine does not lose power.
package wal
