// Package steady writes to a store at a steady rate, and keeps a ledger of what was
// acknowledged, so that at the end every commit can be accounted for. It is the
// program under which a store is moved, in demonstrations and in scripts.
//
// # The nouns
//
// A [Store] is an opened store and the table that is written to: the first one of
// whatever schema is stored there, or that of cmd/example if nothing is. A [Load] is
// a number of workers that write to it. The [Ledger] holds each commit that was tried
// with what became of it, and [Ledger.Check] looks for them in the store.
//
// # Basics
//
// A commit inserts a row that nobody else ever writes, and puts the row of its worker
// under a check that it is as this worker left it. Rows have the revision of the
// commit that wrote them, also in a store that they were moved to. So an acknowledged
// commit is there exactly once if its row is there with the acknowledged revision,
// and no two commits were acknowledged with the same one.
//
// # Caveats
//
// The values are made up, from the number of the commit: whoever loads a store that
// has a schema gets rows that fit it, and mean nothing.
package steady
