// Package verify checks that a store is consistent in itself, for tests and for
// the fault suite alike: it needs a snapshot and a schema, and no idea of what the
// store should hold.
//
// # Basics
//
// [Store] reads every order of every table and compares: each index must have exactly
// the rows of its table, in its own order, with the revisions that they have; a unique
// one holds no values twice; Get finds what Scan does; no row is newer than the state.
//
// # Caveats
//
// It holds all rows of a table in memory. A store that is wrong in the same way in all
// its orders is consistent: what was lost, only a record of what was written tells.
package verify
