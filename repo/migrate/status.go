package migrate

import "time"

// A Status describes a migration at one moment.
type Status struct {
	ID      string    `json:"id"`
	Source  string    `json:"source"`
	Target  string    `json:"target"`
	Phase   Phase     `json:"phase"`
	Live    string    `json:"live"` // the store that accepts commits
	Started time.Time `json:"started"`
	Paused  bool      `json:"paused,omitempty"`

	Rows      int64   `json:"rows"`     // copied
	Bytes     int64   `json:"bytes"`    // of them
	Base      int64   `json:"base_rev"` // the first revision in the target
	Total     int64   `json:"total_rows,omitempty"`
	Rate      float64 `json:"rows_per_second"`
	ETAs      float64 `json:"eta_s,omitempty"`
	Lag       int64   `json:"lag_commits"`
	LagS      float64 `json:"lag_s"`
	P99Ms     float64 `json:"foreground_p99_ms"`
	Applied   int64   `json:"applied_rev"`
	Compared  int64   `json:"compared_rows"`
	Verified  int64   `json:"verified_rev,omitempty"`
	VerifiedS float64 `json:"verified_age_s,omitempty"`
	Differing int     `json:"differing_rows"`
	Repaired  int64   `json:"repaired_rows,omitempty"`
	Cuts      []Cut   `json:"cutovers,omitempty"`
	Error     string  `json:"error,omitempty"` // of the latest step, if it failed
}

// observe takes note of how the migration is.
func (g *Migration) observe(m *mover, err error) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.status
	rec := m.follower.record
	if since := now.Sub(g.rateAt); since > time.Second {
		if !g.rateAt.IsZero() && rec.Rows >= g.rateRows {
			s.Rate = float64(rec.Rows-g.rateRows) / since.Seconds()
		}
		g.rateAt, g.rateRows = now, rec.Rows
	}
	s.Cuts = m.live.record.Cuts
	s.Phase, s.Live, s.Applied = rec.Phase, m.live.name, int64(rec.Applied)
	s.Rows, s.Bytes = max(rec.Rows, m.live.record.Rows), max(rec.Bytes, m.live.record.Bytes)
	s.ETAs, s.Base = 0, int64(max(rec.Base, m.live.record.Base))
	if rec.Phase == Copying && s.Rate > 0 && s.Total > s.Rows {
		s.ETAs = float64(s.Total-s.Rows) / s.Rate
	}
	s.Lag, s.LagS = m.tail.behind(now)
	s.Compared, s.Verified, s.VerifiedS, s.Differing = 0, 0, 0, 0
	if m.sums != nil {
		for _, t := range m.sums.tables {
			s.Compared += t.liveRows
		}
		s.Differing = len(m.sums.differing)
		if m.sums.done {
			s.Verified, s.VerifiedS = int64(m.sums.rev), now.Sub(m.sums.at).Seconds()
		}
	}
	s.Error = ""
	if err != nil {
		s.Error = err.Error()
	}
}

// Status returns how the migration is.
func (g *Migration) Status() Status {
	p99, _ := g.load()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.status
	s.P99Ms = float64(p99.Microseconds()) / 1000
	return s
}

// behind returns how many commits wait to be applied, and for how long the oldest of
// them may have waited.
func (t *tail) behind(now time.Time) (commits int64, seconds float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return 0, 0
	}
	return int64(len(t.queue)), now.Sub(t.since).Seconds()
}

// pause stops copying, or lets it go on; commits are followed meanwhile.
func (g *Migration) pause(paused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status.Paused = paused
}

// configure changes the options while the migration runs.
func (g *Migration) configure(o Options) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.options = o
}
