package steady

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"trihold/repo/driver"
)

// An entry is a commit that was tried.
type entry struct {
	key driver.Key
	rev driver.Rev // acknowledged; or failed, or uncertain
}

const (
	failed    driver.Rev = -1
	uncertain driver.Rev = -2
)

// A Ledger is what became of every commit that was tried. Each worker writes a part
// of its own.
type Ledger struct {
	parts [][]entry
	// slots are the rows of the workers with their revision after the last commit.
	slots []entry
}

// Faults are what is wrong with a store, by a ledger. The zero value is nothing.
type Faults struct {
	Missing  int      `json:"missing"`  // acknowledged, and not there
	Doubled  int      `json:"doubled"`  // acknowledged, and there with another revision, or twice
	Unasked  int      `json:"unasked"`  // failed, and there nevertheless
	Examples []string `json:"examples"` // some of them
}

// maxExamples bounds the faults that are described.
const maxExamples = 10

func (f *Faults) add(count *int, format string, args ...any) {
	*count++
	if len(f.Examples) < maxExamples {
		f.Examples = append(f.Examples, fmt.Sprintf(format, args...))
	}
}

// Any reports whether there are any.
func (f *Faults) Any() bool { return f.Missing+f.Doubled+f.Unasked > 0 }

func (f *Faults) String() string {
	return fmt.Sprintf("%d acknowledged commits missing, %d not exactly once, %d failed ones there: %s", f.Missing, f.Doubled, f.Unasked, strings.Join(f.Examples, "; "))
}

// Check compares the ledger with the store, which nobody writes to. What is uncertain
// may be there or not.
func (l *Ledger) Check(ctx context.Context, s *Store) (*Faults, error) {
	f := &Faults{}
	want := map[driver.Key]driver.Rev{}
	var revs []driver.Rev
	for _, part := range l.parts {
		for _, e := range part {
			want[e.key] = e.rev
			if e.rev > 0 {
				revs = append(revs, e.rev)
			}
		}
	}
	slices.Sort(revs)
	for i := 1; i < len(revs); i++ {
		if revs[i] == revs[i-1] {
			f.add(&f.Doubled, "two commits were acknowledged with revision %d", revs[i])
		}
	}
	for _, e := range l.slots {
		if e.rev > 0 {
			want[e.key] = e.rev
		}
	}
	seen := make(map[driver.Key]bool, len(want))
	err := s.each(ctx, func(key driver.Key, rev driver.Rev) {
		expected, ours := want[key]
		switch {
		case !ours:
		case expected == failed:
			f.add(&f.Unasked, "%s is there, and its commit failed", s.table.FormatKey(key))
		case seen[key]:
			f.add(&f.Doubled, "%s is there twice", s.table.FormatKey(key))
		case expected > 0 && rev != expected:
			f.add(&f.Doubled, "%s has revision %d, and was acknowledged with %d", s.table.FormatKey(key), rev, expected)
		}
		seen[key] = ours || seen[key]
	})
	if err != nil {
		return nil, fmt.Errorf("check the ledger: %w", err)
	}
	for key, rev := range want {
		if rev > 0 && !seen[key] {
			f.add(&f.Missing, "%s is not there, and was acknowledged with revision %d", s.table.FormatKey(key), rev)
		}
	}
	return f, nil
}
