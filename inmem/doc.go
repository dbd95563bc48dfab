// Package inmem is the in-memory backend: every row is a Go object in RAM, and a
// log and snapshots on disk bring the objects back after a restart.
//
// # The nouns
//
// A root is one immutable state of all tables: for each order of a table a
// copy-on-write B-tree of rows, and a revision. The latest durable root is
// published behind an atomic pointer. Reading takes the root and walks its trees:
// readers wait for nobody and hold up nobody.
//
// The committer is the one goroutine that changes anything. It takes the commits
// that are waiting, validates each against the working state (the published root
// and everything accepted since), applies it there, and closes them as one batch.
// The flusher is the goroutine that makes batches durable, in order, through the
// journal: one write and one sync for a batch, however many commits it holds.
// Then it publishes the batch's root, and only then are the commits acknowledged.
// While one batch is being synced the next one fills.
//
// A load (see driver.Load) takes the same way, as a batch of its own. A fence is
// part of the root: the committer refuses what comes behind it, and Begin what a
// closed one forbids.
//
// A snapshot file holds all rows of a root. It is written in the background from
// the published root; commits go on meanwhile. Recovery is the newest good
// snapshot file and the log behind it.
//
// # Opening
//
//	inmem:DIR?class=disk      the log is synced before a commit is acknowledged
//	inmem:DIR?class=process   the log is written but not synced
//	inmem:?class=memory       nothing is kept
//
// A directory belongs to one process at a time and to one schema.
//
// # Caveats
//
// All rows and indices must fit into memory, and are read back at every start:
// both grow with the data. A failed write or sync of the log ends writing until
// the store is opened again, because nobody knows then what is on disk; reading
// goes on. A full disk makes commits fail with ErrUnavailable until there is
// space again.
//
// Damage to log or snapshots is detected by checksums. A torn last entry of the
// log, which a crash can leave, is cut off; a damaged snapshot file is passed over
// if an older one and the log behind it are whole; anything else is ErrCorrupt,
// and the store does not open. What was logged in the last moments before a loss of
// power and then rots before the next start looks like a torn entry.
package inmem
