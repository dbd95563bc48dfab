// Package inmem is the in-memory backend: every row is a Go object in RAM, and a
// log and snapshots on disk bring the objects back after a restart. A store is that of
// one node, or a member of a Raft cluster.
//
// # The nouns
//
// A root is one immutable state of all tables: for each order of a table a
// copy-on-write B-tree of rows, for its primary key a tree of hashes too, and a
// revision. The latest durable root is published behind an atomic pointer. Reading
// takes the root and walks its trees: readers wait for nobody and hold up nobody.
//
// The committer is the one goroutine that changes anything. It takes the commits
// that are waiting, validates each against the working state (the published root
// and everything accepted since), applies it there, and closes them as one batch.
// The flusher of a single node is the goroutine that makes batches durable, in order,
// through the journal: one write and one sync for a batch, however many commits it
// holds. Then it publishes the batch's root, and only then are the commits acknowledged.
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
// # A cluster
//
// A member is what makes a store one node of several. Its committer works only while
// the node leads: a tenure begins when everything that leaders before may have
// acknowledged has been applied. In the flusher's place, batches go through Raft, and
// the replica of every member applies or rejects them by comparing what they rest on.
// Nodes that do not lead run closures on their own rows and forward the commit. A read
// that must be up to date takes the leader's commit index, then makes sure by asking the
// voters that no other node leads, and then waits for the root that includes that entry;
// a node that does not lead asks the leader for such an index. A tentative snapshot (see
// driver.Mode) of a leader takes the published root at once: the committer will validate
// what was read, and Confirm makes sure where there is nothing to commit.
//
// Members talk through one port (package port). Their log, hard state and snapshots are
// in package raftstore. A node whose disk fails or hangs, that meets an entry which it
// cannot read, or whose state differs from its leader's, cuts its connections and takes
// no part any more.
//
// # Opening
//
//	inmem:DIR?class=disk      the log is synced before a commit is acknowledged
//	inmem:DIR?class=process   the log is written but not synced
//	inmem:?class=memory       nothing is kept
//	inmem:DIR?node=n1&listen=127.0.0.1:7001                  a cluster of one, class quorum
//	inmem:DIR?node=n1&listen=…&peers=n1@…,n2@…,n3@…          begin one of three
//	inmem:DIR?node=n4&listen=…&join=127.0.0.1:7001           enter one
//
// ClusterConfig has the other parameters. A directory belongs to one process at a time
// and to one schema; that of a single node can become a member's, and not go back.
//
// # Caveats
//
// All rows and indices must fit into memory, and are read back at every start:
// both grow with the data. A failed write or sync of the log ends writing until
// the store is opened again, because nobody knows then what is on disk; reading
// goes on. A full disk makes commits fail with ErrUnavailable until there is
// space again. In a cluster, a node stops taking commits before its disk is full.
//
// A commit without a majority waits, and is ErrUnavailable if it was not sent, or
// ErrUncertain if it was. ViewStale needs no majority while the age that it allows has
// not passed. All members need the same schema, and memory for all rows.
//
// Damage to log or snapshots is detected by checksums. A torn last entry of the
// log, which a crash can leave, is cut off; a damaged snapshot file is passed over
// if an older one and the log behind it are whole; anything else is ErrCorrupt,
// and the store does not open. What was logged in the last moments before a loss of
// power and then rots before the next start looks like a torn entry.
package inmem
