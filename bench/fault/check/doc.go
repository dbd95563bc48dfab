// Package check judges whether a store kept its promises while it was broken.
//
// # The nouns
//
// [Evidence] is what is known: the history of what was asked and answered, and the
// final content of every node. A [Checker] looks for one kind of broken promise in
// it, and gives a [Verdict].
//
// # Basics
//
// [All] has the checkers from cheap to dear:
//
//	durable    every acknowledged commit is there, whole, and nothing else is
//	bank       no money appears or vanishes, in no state that was seen
//	indices    an index and its table tell the same
//	digests    all nodes hold the same
//	changes    the change stream tells every commit once, in order, with its keys
//	revisions  the revisions are one order of all operations that explains every answer
//	linear     each register is linearisable
//	serial     the list transactions are strictly serialisable
//
// They overlap on purpose. The checker revisions is the strongest: it runs all
// operations once more in the order of their revisions, and compares every answer
// with the state that it should have been given. But it believes the revisions that
// the store itself tells. The checkers linear and serial believe nothing but what
// clients saw and when: they find an order themselves, or prove that there is none.
//
// # Unknown outcomes
//
// An operation without an answer may have taken effect or not, and it may have done
// so long after. Whether it did is decided by the ledger: an operation took effect
// if the ledger or the change stream of some node has it. The ledger row is written
// in the same transaction as everything else, so an operation that has a row and
// not its effect, or its effect and not a row, is a finding of durable.
//
// # Anomalies
//
// The names that serial gives are those of Adya (Weak Consistency, MIT 1999), as
// Elle uses them (Kingsbury and Alvaro, Elle: Inferring Isolation Anomalies from
// Experimental Observations, VLDB 2020), whose idea the checker is: a list that is
// only appended to shows in what order its elements came, so each read tells what
// came before it and what after.
//
//	G0            dirty write: a cycle of overwrites
//	G1a           aborted read: something was seen that never took effect
//	G1b           intermediate read: a part of a transaction was seen
//	G1c           circular information flow: a cycle of overwrites and reads
//	G-single      read skew: a cycle with one read that came too early
//	G2            write skew: a cycle with several reads that came too early
//	...-realtime  the same, but only if what ended before something began came first
//
// Besides there are internal (a transaction contradicts itself), incompatible order
// (two reads of a list, of which none continues the other), phantom, duplicate and
// lost append.
//
// # Caveats
//
// A verdict is about one history. An Unknown is one that was not proved, because
// something was not known or there was no time for it, and must never be counted as
// OK. All checkers take time in proportion to their input, give or take a sort: that
// every written value is another one spares all search. Only to confirm that a
// register is not linearisable, and on a history with values that were written twice,
// does linear search, with package porcupine, which is exponential at worst; it is
// given ten seconds, and a quarter of a gigabyte at a time.
// And of the cycles that serial finds, it chooses the smallest to show only among as
// many as a fixed number of steps reaches.
//
// Two operations of which one ends at the very moment at which the other begins
// count as concurrent.
package check
