// Package traffic is the workload of the fault suite: transactions that exercise
// everything a store promises at once, and say afterwards what they saw.
//
// # The nouns
//
// A [Source] makes the operations of one client from a seed. [Execute] runs one
// operation on a store, in the process that is going to be broken. A [Crowd] is
// the clients: it sends operations to that process, from outside, and records them
// in a history.History. [Fill] and [ReadFinal] are the beginning and the end.
//
// # Basics
//
// The mix: registers with writes and compare-and-set; a bank of accounts with
// transfers and audits; transactions of reads of lists and appends to them; claims
// of unique names; items that move between groups, read through an index; and the
// ledger, to which every operation that writes adds a row.
//
// # Caveats
//
// A seed determines what each client asks for, and not how the clients interleave:
// that is up to the machine.
package traffic
