// Package workload says what a run does to a store, and proves afterwards that
// the store holds what it acknowledged.
//
// # The nouns
//
// A [Workload] is data: a mix of operations, how keys are chosen, and the kind
// of rows. A [Session] is one workload at work on one store. It draws operations
// from a [Stream], carries them out through package repo, and keeps a history of
// every write, from which it knows what may be in the store. A [Verdict] is what
// Verify found.
//
// # Basics
//
// The workloads ycsb-a to ycsb-f are the core workloads of YCSB (Cooper et al.,
// "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010) with its names and
// defaults: rows of ten text fields of 100 bytes, scrambled zipfian keys with
// constant 0.99, the latest keys for D, scans of 1 to 100 rows for E. The
// workload records runs on a user's own records.
//
// To add a workload of ordinary reads and writes, add a Workload to the list in
// a file of its own. To add a kind of rows, implement rows.
//
// # Caveats
//
// An update replaces the whole row, because a row is what a repository writes;
// in YCSB's words, writeallfields is true. Only read-modify-write reads first.
//
// A row says which write made it, so verification can tell a lost write from a
// write that another one overtook, but while a run lasts a read is only checked
// for having found the right key.
package workload
