// Package machine describes the machine that a measurement ran on, and measures
// what bounds every store on it: how long its disk takes to make bytes durable,
// and how long a message takes to itself and back.
//
// An [Info] is the description and a [Calibration] the measurement. Both stand at
// the top of every result, because a latency of a store means little without
// them. A directory in memory (tmpfs) makes fsync free; Info.Caveats says so.
package machine
