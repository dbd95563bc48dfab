// Package history is what is known about a store from outside: what was asked of
// it, what it answered and when, and what it held in the end. It is the truth that
// faults are judged by, and it is kept by a process that is never broken.
//
// # The nouns
//
// An [Op] is one operation: one transaction, with begin, end and [Outcome]. A
// [History] is the operations of one run, in the order of their begin, with the
// [Setup] that the store was filled with before. A [Final] is the whole content of
// one node after everything was healed, as it reads back.
//
// # Basics
//
// Every operation that writes also adds a row to the ledger, whose key is the
// operation's ID, in the same transaction. So one look at the final state tells
// which operations took effect: an unknown outcome is unknown only until then, and
// the change stream gives the revision of each.
//
// # Caveats
//
// Times are those of the recording process: an operation begins before it is sent,
// and ends after its answer has been read. So the order of real time that they give
// is a weaker one than that inside the store, and never a wrong one.
package history
