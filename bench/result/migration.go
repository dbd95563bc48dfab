package result

// A Migration is what happened to stores that were moved while processes were
// killed.
type Migration struct {
	Strikes   map[string]int `json:"strikes"`           // kills that hit, by where
	Missed    int            `json:"missed,omitempty"`  // kills that nothing came to
	Cutovers  int            `json:"cutovers"`          // that took place
	Rollbacks int            `json:"rollbacks"`         // of them
	Completed int            `json:"completed"`         // migrations that were ended for good
	Undone    int            `json:"undone,omitempty"`  // cutovers that were undone, by themselves or by the next start
	Refused   int            `json:"refused,omitempty"` // commands that were to be asked for again
	Doubled   int            `json:"doubled"`           // operations that took effect twice
	Histories int            `json:"histories"`         // signs that two stores have accepted commits
}

// Struck returns the number of kills that hit.
func (m *Migration) Struck() int {
	n := 0
	for _, times := range m.Strikes {
		n += times
	}
	return n
}

// Add adds what happened to other stores.
func (m *Migration) Add(o *Migration) {
	if m.Strikes == nil {
		m.Strikes = map[string]int{}
	}
	for where, times := range o.Strikes {
		m.Strikes[where] += times
	}
	m.Missed += o.Missed
	m.Cutovers += o.Cutovers
	m.Rollbacks += o.Rollbacks
	m.Completed += o.Completed
	m.Undone += o.Undone
	m.Refused += o.Refused
	m.Doubled += o.Doubled
	m.Histories += o.Histories
}
