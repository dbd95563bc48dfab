// Package driver is the contract between package repo and a backend.
// Applications use package repo; this package is for those who write a backend
// or a tool that works on any of them.
//
// # The nouns
//
// A [Store] keeps tables. A [Snapshot] is a consistent state to read from. A
// [Commit] is everything a transaction did: what it read, as [Checks], and what
// it writes, as [Write] values. A [Span] is one contiguous walk of one order of
// a table. A [Change] says which keys a commit touched.
//
// # The one idea
//
// A backend never sees a transaction run. The caller reads from a Snapshot,
// buffers its writes, and hands over one Commit. The backend validates the
// checks at the place where its commits are serialised: if anything that was
// read has changed, it writes nothing and answers [ErrConflict], and the caller
// runs again. Otherwise it applies all the writes and assigns the next [Rev].
// This is the only shape of a transaction that an in-memory log, a SQL
// transaction and one HTTP request can all give with the same meaning.
//
// Because checks are validated, a transaction that writes need not begin on the latest
// state: a [Mode] may ask for a tentative one, which a backend of several nodes has
// without asking the others. A transaction that commits nothing has no checks, so the
// caller confirms its Snapshot instead.
//
// # Moving a store
//
// Beside the tables of its schema every store has a small table of its own, its
// state. A [Fence] in it ends the store's history, and a [Load] makes a store a copy
// of another one, with the same revisions. With these two a tool can move a store
// from any backend to any other while it is used.
//
// # Rows
//
// A row has one canonical form: the bytes described in [AppendValues]. Writes
// carry it, digests hash it, and SQL backends turn it into column values and
// back. A backend that keeps Go values in memory gets them from [Table].Decode
// and may return them as they are; see [Row].
//
// # Keys
//
// A [Key] is a tuple of column values encoded so that comparing bytes compares
// tuples. Column by column it is self-delimiting: the encoding of the first n
// columns is a byte prefix of every key that begins with those n values, and of
// no other key.
package driver
