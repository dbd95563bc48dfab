// Package sqlitebackend is a driver.Store over one SQLite file in the process
// that uses it, replicated, if wanted, by an embedded Litestream.
//
//	sqlite:app.db
//	sqlite:app.db?class=replica&replica=file:///mnt/backup/app
//
// Parameters: class (process, disk, replica), replica (file:///absolute/dir), sync
// (how far an asynchronous replica may be behind), snapshot (how long a snapshot
// may be read from).
//
// # The nouns
//
// The writer is the one goroutine that writes. It takes the commits that queued up
// while it was busy, decides each on its own, executes all that are accepted in
// one transaction, and acknowledges them together: one fsync for all, and in class
// replica one wait for the replica. It knows what it has written lately, and so
// decides most checks without asking SQLite. A session is a connection with its
// prepared statements. A snapshot is a read transaction on a session of its own,
// which begins at the first read. The replica is Litestream, driven by the writer
// and not by its own clock.
//
// # What each class survives
//
//	process  the process is killed: what SQLite has written is in the page cache
//	disk     the power fails: the log is synced before the acknowledgement
//	replica  the machine is lost: as disk, and the replica has stored the commit
//
// With a replica in class process or disk, commits of the last moments (the sync
// interval) are lost with the machine. When the database file is missing it is
// restored from the replica, and revisions jump by 1<<32, so that none that was
// lost is assigned again. A file that is older than its replica is refused.
//
// A fence survives that: it is then at the revision after the jump. A load of what
// the origin did next does not continue such a store, so the copy is begun anew.
//
// In class replica, what a snapshot or Changes shows is in the replica. While the
// replica cannot be written, commits are refused; the commit that met the failure
// is uncertain, and it can be seen until the replica is back and it is certain.
//
// # The file
//
// Package internal/sqlstmt describes the tables. Any SQLite shell can read them at
// any time. While the store is open nobody else may write to the file, checkpoint
// it, or move it; a file called like the database with -lock at its end keeps
// other stores away, not other programs. Within the process nobody may open the
// file but through SQLite as modernc.org/sqlite has it: closing any other file
// descriptor of the file would drop SQLite's locks. The directory
// .NAME-litestream beside the file is Litestream's; it makes two tables of its own
// in the database.
//
// A load is a transaction of its own, between those of ordinary commits. It may
// change rows without a new revision, so after it the writer asks SQLite about
// everything that was read before.
//
// A failed write leaves the store reading only, until it is closed and opened
// again, if it is not certain what is in the file; a full disk does not.
package sqlitebackend
