package proxy

import "sync/atomic"

// Counts are what a proxy has done since it was started.
type Counts struct {
	Connections int64 // accepted
	Open        int64 // of these, still open
	Refused     int64 // reset at once by RefuseNew
	Kept        int64 // accepted during Silence or Drop, and so kept waiting
	Unreachable int64 // reset since the target could not be reached
	Cut         int64 // reset by CutEvery, by Cut, or after they had lost something
	Up, Down    FlowCounts
}

// FlowCounts are what was done to the bytes of one direction.
type FlowCounts struct {
	Bytes   int64 // passed on
	Held    int64 // met by Silence
	Dropped int64 // lost by Drop
	Delayed int64 // held back by Delay or Jitter
	Flipped int64 // bits
}

// tally counts while the proxy runs.
type tally struct {
	connections, open, refused, kept, unreachable, cut atomic.Int64
	flows                                              [2]flowTally
}

type flowTally struct {
	bytes, held, dropped, delayed, flipped atomic.Int64
}

func (t *flowTally) counts() FlowCounts {
	return FlowCounts{t.bytes.Load(), t.held.Load(), t.dropped.Load(), t.delayed.Load(), t.flipped.Load()}
}

// Counts returns what was done so far.
func (p *Proxy) Counts() Counts {
	t := &p.tally
	return Counts{
		Connections: t.connections.Load(),
		Open:        t.open.Load(),
		Refused:     t.refused.Load(),
		Kept:        t.kept.Load(),
		Unreachable: t.unreachable.Load(),
		Cut:         t.cut.Load(),
		Up:          t.flows[up].counts(),
		Down:        t.flows[down].counts(),
	}
}
