package mutants

// Cluster returns the mutants of what only several nodes do.
func Cluster() []Mutant {
	var all []Mutant
	for _, group := range [][]Mutant{reading(), leading(), replicating()} {
		all = append(all, group...)
	}
	return all
}

// reading is about reads that must include what anybody was told before.
func reading() []Mutant {
	return []Mutant{
		{"lead-without-asking-a-majority", "an old leader that was cut off or has slept shows, and tells followers, what others have changed since", []Edit{{
			File: "inmem/reading.go",
			Old:  "	term, _, err := m.verifying.wait(ctx, m.verify)\n	if err == nil && term != t.term {\n",
			New:  "	term, err := t.term, error(nil)\n	if err == nil && term != t.term {\n",
		}}},
		{"read-before-the-entry-is-applied", "a follower answers with a state from before the question", []Edit{{
			File: "inmem/reading.go",
			Old:  "r.index >= index {",
			New:  "r.index >= index || true {",
		}}},
	}
}

// leading is about what a leader does at the begin and at the end of its time.
func leading() []Mutant {
	return []Mutant{
		{"office-without-a-barrier", "a new leader decides and answers before it knows what the old one has acknowledged", []Edit{{
			File: "inmem/office.go",
			Old:  "err := m.await(barrier)",
			New:  "err := error(nil)",
		}}},
		{"acknowledge-before-a-majority-has-it", "what a leader that is cut off has acknowledged is gone", []Edit{{
			File: "inmem/office.go",
			Old:  "	return m.raft.ApplyLog(raft.Log{Data: b.entry}, 0)\n",
			New:  "	f := m.raft.ApplyLog(raft.Log{Data: b.entry}, 0)\n	b.answer(nil)\n	return f\n",
		}}},
		{"deny-what-is-uncertain", "a commit is said not to have happened, and happens", []Edit{{
			File: "inmem/office.go",
			Old:  "	return driver.Failed(\"commit\", driver.ErrUncertain, err)\n}",
			New:  "	return driver.Failed(\"commit\", driver.ErrUnavailable, err)\n}",
		}}},
		{"forget-what-was-accepted", "a commit that is sent again to another leader is done twice, or refused though it was done", []Edit{{
			File: "inmem/committer.go",
			Old:  "if known, ok := c.store.recent.find(id); ok {",
			New:  "if known, ok := c.store.recent.find(id); ok && c.store.member == nil {",
		}}},
	}
}

// replicating is about what snapshots do to the log.
func replicating() []Mutant {
	return []Mutant{
		{"snapshot-of-an-older-state", "a snapshot says that it includes entries which it does not", []Edit{
			{
				File: "inmem/replica.go",
				Old:  "	ours []*batch // guarded by mu: submitted by this node, oldest first\n",
				New:  "	ours []*batch // guarded by mu: submitted by this node, oldest first\n	late *root\n",
			},
			{
				File: "inmem/replica.go",
				Old:  "	return frozen{r, r.store.published.Load()}, nil\n",
				New:  "	late := r.late\n	if r.late = r.store.published.Load(); late == nil {\n		late = r.late\n	}\n	return frozen{r, late}, nil\n",
			},
		}},
	}
}

// Replica returns the mutants of what a replica makes of an entry, and when.
func Replica() []Mutant {
	return []Mutant{
		{"read-what-the-leader-had-applied", "a leader shows less than a follower that has applied the same entries sooner", []Edit{
			{
				File: "inmem/reading.go",
				Old:  "		at := time.Now()\n		err := m.confirmed(ctx, t)\n",
				New:  "		at, r := time.Now(), m.store.published.Load()\n		err := m.confirmed(ctx, t)\n",
			},
			{
				File: "inmem/reading.go",
				Old:  "			m.freshen(at)\n			return m.store.published.Load(), nil\n",
				New:  "			m.freshen(at)\n			return r, nil\n",
			},
		}},
		{"forget-the-chain", "a batch takes effect that rests on one which did not happen", []Edit{
			{
				File: "inmem/replica.go",
				Old:  "if f.id.term != l.Term || f.before != before.last {",
				New:  "if f.id.term == 0 {",
			},
			{
				File: "inmem/replica.go",
				Old:  "if f.hash != before.hash {",
				New:  "if f.hash != before.hash && f.id.term == 0 {",
			},
		}},
	}
}
