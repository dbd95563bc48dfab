package inmem

import (
	"sync"
	"sync/atomic"
)

// A tenure is a time in which the committer of this store decides alone, with nobody
// before it whose batches could still happen: in the store of a single node, from one
// failed write to the next; in a cluster, some part of a term that this node leads.
//
// The batches of a tenure rest on each other. So when one of them does not happen, none
// after it may, and the tenure is over.
type tenure struct {
	term, nonce uint64 // zero in the store of a single node
	over        atomic.Bool
	submitting  sync.Mutex // held while a batch is submitted to Raft, and when the tenure ends because one did not happen
}

// end ends a tenure, and reports whether that is news.
func (t *tenure) end() bool { return t.over.CompareAndSwap(false, true) }
