// Package wal is an append-only log of numbered entries in segment files.
//
// # The nouns
//
// A [Log] holds entries with consecutive indices from some first one on. Append
// writes one entry with one write and one sync, AppendAll several with as much,
// into a file that was filled with zeros beforehand: overwriting written blocks is
// cheaper to sync than growing a file. Get reads an entry and verifies it. DropBefore
// removes the oldest segments. Truncate takes back the newest entries, and Reset all
// of them. One goroutine writes; any number read meanwhile.
//
// # Basics
//
//	l, err := wal.Create(wal.Config{FS: vfs.OS{}, Dir: dir, StoreID: id})
//	last, err := l.AppendAll([][]byte{...}) // each with EntryHeader bytes in front
//	payload, err := l.Get(last)
//	err = l.Close()
//	l, torn, err := wal.Open(config, 1, func(index uint64, payload []byte) error { ... })
//
// # Format 2
//
// A segment file is named after the index of its first entry, in hex, and, unless
// that is 0, its generation: 000000000000002a.log, 000000000000002a-00000001.log. It
// has its full size from the start, which is larger than that of the others if a
// batch needs it; a batch never goes over two segments. All numbers are little
// endian, all checksums CRC-32C. Each of the first three parts has a 4 KiB block of
// its own, so that a damaged block of the disk hits one of them.
//
//	block 0: segment header
//	  0  magic "TRIHLOG1"
//	  8  format version, 4 bytes; lowest version that can read it, 4 bytes
//	 16  store ID, 16 bytes
//	 32  index of the first entry, 8 bytes
//	 40  checksum of the entry before that one, 4 bytes
//	 44  generation, 4 bytes
//	 48  size of the file, 8 bytes
//	 56  1 if the segment continues nothing (Reset), else 0, 4 bytes
//	 60  checksum of the 60 bytes before, 4 bytes
//
//	blocks 1 and 2: floors, written in turn
//	  0  magic "FLOR"
//	  4  1 if a segment follows, else 0, 4 bytes
//	  8  index of an entry that was synced, 8 bytes
//	 16  checksum of that entry, 4 bytes
//	 20  checksum of the 20 bytes before, 4 bytes
//
//	from block 3 on: entries, each at a multiple of 8
//	  0  magic "ENT2"
//	  4  length of the payload, 4 bytes
//	  8  index, 8 bytes
//	 16  checksum of the entry before, 4 bytes
//	 20  how many entries of the same batch come before it, 4 bytes
//	 24  checksum of the 24 bytes before and of the payload, 4 bytes
//	 28  payload
//
// Of two valid floors the one counts that says that a segment follows, of two such
// ones the lower one, and of two others the higher one.
//
// In format 1 there were no batches, generations and resets: bytes 44 and 56 of the
// header are 0, the magic of entries is "ENTR", their checksum is at 20, of the 20
// bytes before and the payload, and the payload at 24. Segments of format 1 are read
// as they are; new entries go to a new segment.
//
// # Taking back
//
// Nothing is ever overwritten. Truncate and Reset put a segment of the next
// generation beside the others, and from the moment at which its name is durable,
// older generations count only up to where it begins, or not at all if it continues
// nothing. What lies behind that in an older file is void, and may be anything. Files
// that are void as a whole are removed, by Open if a crash came between.
//
// # What opening a damaged log finds
//
// Entries are chained by their checksums, and a batch is written only after the one
// before it has been synced. So the only damage that a crash can leave is in the
// last batch, with no valid entry of a later batch behind it: a torn tail, which is
// cut off and counted. Of that batch a crash may leave any sectors, in no order; the
// whole entries at its beginning are kept. Any other damage is [driver.ErrCorrupt],
// and the log does not open: a missing, shortened or foreign segment, an entry that
// is not readable though one of a later batch is, or though a floor says that it was
// synced.
//
// Damage after the fact to the very last batch looks like a torn tail unless a
// floor covers it. The file "tide" holds one that is written after every batch
// and not synced, which covers all entries unless the machine loses power.
// For that case Mark writes one into the segment and syncs both; the owner calls it
// when the log has been idle for a moment, and Open and Close call it. What remains
// is damage to entries of the last moments before a loss of power, done before the
// log is opened again.
//
// An entry that the tide names must be the one in the log, so that segments that go
// back, all together, to what they were before a Truncate are noticed.
//
// # Caveats
//
// Which entries there must be at least, the log does not know: who opens it passes
// the first one needed, or looks at First. Get trusts the index in memory, which
// Open has verified, and the checksum of the entry; an entry that is swapped for an
// older one with the same index in a running process goes unnoticed.
//
// With Config.NoSync all this holds as long as the machine does not lose power.
package wal
