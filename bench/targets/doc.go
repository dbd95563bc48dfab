// Package targets measures the figures that this project wants to reach.
//
// # The nouns
//
// A [Row] is one figure: what is measured, the target, and what it is measured
// against. A reference is a measurement of the machine or of a bare library that
// was made in the same run, in rounds that alternate with those of the figure, so
// that a figure is a ratio and means the same on any machine. A [Reached] is a row
// with its outcome.
//
// # The references
//
//	F    append 4 KiB to a file and fdatasync, p50
//	C    create a file, fsync, rename, fsync of the directory, p50
//	T    loopback TCP round trip, p50
//	M    read of a map with 1M entries under a read lock
//	raw  the same work through the bare library or API
//
// Bare Raft and etcd are measured by a program of another module, bench/reference,
// which this package starts and asks for a round at a time.
//
// # Caveats
//
// A figure is the median of the rounds. On a machine that others use too, a
// single run says little: raise the rounds. Rows that are not built yet are there
// with their targets, so that what is missing can be seen.
package targets
