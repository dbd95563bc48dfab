// Package load drives a workload against a store and measures it.
//
// # The nouns
//
// A [Pacer] says when each operation of an open loop is meant to be sent. A
// [Recorder] keeps latencies in HDR histograms, and counts errors and conflicts.
// A [Result] is what one loop has measured.
//
// # Basics
//
// [Closed] keeps a number of clients busy: each sends its next operation when the
// last one has been answered. It finds how much a store can do, but its latencies
// leave out what would have arrived while the store was slow (coordinated
// omission). [Open] sends at a fixed rate whether or not the store keeps up, and
// measures latency from the moment an operation was meant to be sent. Latencies
// of different stores are compared at one common rate.
//
// # Caveats
//
// Both loops run in the process of the store they drive. The open loop measures
// its own delay, the send lag; a result whose lag is above [MaxLag] says
// more about the machine than about the store, and is marked invalid.
package load
