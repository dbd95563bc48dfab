// Package rqlitebackend is the rqlite backend: the real rqlite v8, which is SQLite
// behind a Raft log, in a process of its own that is spoken to over HTTP.
//
// # The nouns
//
// A [Store] is a connection to one rqlite, or to one that it starts and stops
// itself. A node is such a process: it is watched, started again when it dies, and
// killed by the kernel when this process ends, however that happens. A directory is
// where it keeps its data. Peers are the addresses that answer at the moment.
//
// The client sends requests. An attempt has one of four fates: it is answered; or
// nothing was done, and it may work in a moment; or nothing was done, and never will
// be; or it was sent, and nobody knows. The last one is met by sending the same
// bytes again until there is an answer, because a commit carries its ID.
//
// A batch is commits of concurrent callers that travel in one request. A read is one
// statement of a snapshot; reads of concurrent callers travel together, too. A walk
// is a scan under way, a page at a time.
//
// # Opening
//
//	rqlite://user:secret@host1:4001,host2:4001   one that runs already
//	rqlite:DIR?managed=1                         started here, with its data in DIR
//
// Parameters: class (disk), patience (how long a request without a deadline is tried
// again, 30s), and for a managed one binary (the rqlited to run). Without it, rqlited
// is looked for in TRIHOLD_RQLITED, beside the running program, in bin of the working
// directory or above it up to the root of the module, and in $PATH; make build makes
// one, if there is a C compiler. What it prints is in DIR/node1.log, the address where
// a person can reach it is the -http-addr there.
//
// The database holds ordinary tables, as package internal/sqlstmt describes them.
//
// # A commit
//
// A commit is one request to /db/execute?transaction&noparse: its row of
// _trihold_changes first, then guards, then writes. It is the only endpoint of
// rqlite 8 that rolls everything back whatever fails. Every result is looked at, also
// of an answer with status 200.
//
// While two such requests are under way, further commits gather for the next one;
// nobody waits for company. A batch is one transaction in one entry of the Raft log,
// with many rows for a statement. If it fails, nothing of it has happened, and it is
// sent again with each commit as a transaction of its own, so that each fails alone.
// Commits that will probably be refused, because this store has overwritten what they
// have read, are sent that way at once.
//
// # A fence, and loads
//
// A trigger refuses new rows of _trihold_changes while the state has a fence. It looks
// at the state as it is at that statement, so a commit that writes the state travels
// in a request of its own: others in the same transaction would be through already. It
// does so before the ID of a commit is looked at, so those that it refuses are then
// looked up by their IDs.
//
// A load is one transaction in a request of its own, guards first, with many rows for
// a statement: about 100,000 rows a second, or 30,000 with a commit for each. It has
// no ID. If it is sent again because an answer was lost, and then refused, the first
// attempt may be why, and that is ErrUncertain: the caller reads the state to find out,
// and should have a check there that fails the second time.
//
// # A snapshot
//
// The first read fixes the revision; every read asks for it, and for a fence that has
// closed the store, along with the rows. If a later read finds that the store has moved
// on, one more request validates everything read so far at the latest revision, and the
// snapshot is there from then on, or ends with ErrConflict; with ErrMoved if the store
// was closed meanwhile. Reads are linearizable. Those that allow an age are answered by
// any node from what it has, if that is fresh enough.
//
// # Caveats
//
// Durability. rqlite syncs its Raft log (raft.db) before it acknowledges, and that
// makes class disk. SQLite itself never syncs: at every start the database is made
// again from the last snapshot and the log. In version 8 the files of a snapshot are
// renamed but not synced before the log they replace is cut off, so a loss of power
// shortly after a snapshot may lose what was acknowledged before it. A kill of the
// process, or of the program, loses nothing.
//
// Full disks. What rqlite fails to execute while the disk is full is in its log all
// the same, and is executed at the next start, or is silently left out of it if the
// disk is still full then. So a managed node is not started, and not used, without
// free space; it is started again when a statement fails for want of it. A disk that
// fills up at one moment, from 16 MiB to nothing, can still lose what was acknowledged
// in that moment. An external rqlite has no such protection: watch its disk.
//
// Latency. A request costs an HTTP round trip and JSON on both sides, whatever is in
// it: about as long as a sync of a fast disk. Many callers hide it, one does not.
// Every few thousand commits rqlite takes a snapshot, and requests wait meanwhile.
//
// A managed node listens on 127.0.0.1 without a password: whoever can run programs on
// the machine can reach it. Its three Raft timeouts are 25 ms instead of 1 s, which is
// safe for a node that has nobody to agree with, and makes it ready in 0.1 s.
//
// Fences. That a commit was refused is made sure of by taking its ID, so that an
// attempt that is still on its way fails. Behind a fence that is not possible, and not
// needed as long as the fence is there. If it is taken away again, a refused commit of
// which an attempt is still on its way may be accepted after all.
//
// A store that is being filled, and that Mode.Closed allows to read, may give a
// snapshot rows of different loads, because loads of rows alone do not raise the
// revision.
//
// IDs of commits are remembered as long as changes: 100,000 commits and at least two
// minutes. Clients of one external rqlite forget for each other.
//
// Managed nodes need Linux.
package rqlitebackend
