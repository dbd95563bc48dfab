package simulate

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"

	"trihold/repo/driver"
)

// An attempt is a commit that was sent, and what is known of it. The history's
// mutex guards it.
type attempt struct {
	commit *driver.Commit
	acked  bool
	rev    driver.Rev // as acknowledged, or as found
	// maybe: some answer left the outcome open. If it is not set and the commit
	// was not acknowledged, then it was refused, or is still on its way.
	maybe   bool
	pending int    // times that it is on its way
	gone    bool   // a restart has shown that it did not happen
	refusal string // the last one
}

// A history is everything that was sent to the stores of one iteration. It
// outlives them.
type history struct {
	mu       sync.Mutex
	attempts map[driver.CommitID]*attempt
	acked    []*attempt
	refused  []*attempt // once at least
	seen     driver.Rev // the highest revision that anybody was shown
	early    bool       // AcknowledgeEarly

	model   *model     // after the commits in settled
	settled []*attempt // as the last check has found them
}

func newHistory(c Control) *history {
	return &history{attempts: map[driver.CommitID]*attempt{}, early: c == AcknowledgeEarly, model: newModel(schema.Driver())}
}

// recorder is a store that writes down what passes through it.
type recorder struct {
	driver.Store
	history *history
	// onUnknown, if set, is called when the outcome of a commit is not known.
	onUnknown func()
}

// Begin implements driver.Store.
func (r *recorder) Begin(ctx context.Context, m driver.Mode) (driver.Snapshot, error) {
	s, err := r.Store.Begin(ctx, m)
	if err == nil {
		r.history.see(s.Rev())
	}
	return s, err
}

// Commit implements driver.Store.
func (r *recorder) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	a := r.history.send(c)
	rev, err := r.Store.Commit(ctx, c)
	r.history.answer(a, rev, err)
	if r.onUnknown != nil && errors.Is(err, driver.ErrUncertain) {
		r.onUnknown()
	}
	return rev, err
}

func (h *history) see(rev driver.Rev) {
	h.mu.Lock()
	h.seen = max(h.seen, rev)
	h.mu.Unlock()
}

func (h *history) send(c *driver.Commit) *attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.attempts[c.ID]
	if a == nil {
		a = &attempt{commit: c}
		h.attempts[c.ID] = a
	}
	a.pending++
	a.gone = false // it gets another chance
	if h.early {
		h.ack(a, 0)
	}
	return a
}

func (h *history) ack(a *attempt, rev driver.Rev) {
	if !a.acked {
		a.acked = true
		h.acked = append(h.acked, a)
	}
	a.rev = max(a.rev, rev)
	h.seen = max(h.seen, rev)
}

func (h *history) answer(a *attempt, rev driver.Rev, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.pending--
	switch {
	case err == nil:
		h.ack(a, rev)
	case errors.Is(err, driver.ErrUncertain):
		a.maybe = true
	default:
		if a.refusal == "" {
			h.refused = append(h.refused, a)
		}
		a.refusal = err.Error()
		if h.early && (errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrExists)) {
			h.unack(a)
		}
	}
}

// unack is for clients that acknowledge too early, and have found out.
func (h *history) unack(a *attempt) {
	a.acked = false
	h.acked = slices.DeleteFunc(h.acked, func(o *attempt) bool { return o == a })
}

// some returns a random commit that was acknowledged, or nil.
func (h *history) some(rng *rand.Rand) *attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.acked) == 0 {
		return nil
	}
	return h.acked[rng.IntN(len(h.acked))]
}

// someRefused returns a random commit that was refused, or nil.
func (h *history) someRefused(rng *rand.Rand) *attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.refused) == 0 {
		return nil
	}
	return h.refused[rng.IntN(len(h.refused))]
}

// ackedRev returns the revision that an attempt was acknowledged with.
func (h *history) ackedRev(a *attempt) driver.Rev {
	h.mu.Lock()
	defer h.mu.Unlock()
	return a.rev
}

func (h *history) countAcked() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(len(h.acked))
}
