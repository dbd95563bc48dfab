package sqlitebackend

import (
	"encoding/binary"
	"errors"
	"testing"

	"trihold/repo/driver"
)

// How much history is kept is part of the contract; how it is forgotten, in
// portions and between batches, is specific to this backend.
func TestTheOldestCommitsAreForgottenAndEnoughAreKept(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than 100,000 commits")
	}
	dir := t.TempDir()
	s, closeStore := stopped(t, dir)
	const all = driver.Retained + 2*pruneSlack
	for at := 0; at < all; at += maxBatch {
		var batch []*driver.Commit
		for i := at; i < min(all, at+maxBatch); i++ {
			c := commitOf(0, write(driver.Put, plainTable, &note{ID: "x"}))
			binary.BigEndian.PutUint32(c.ID[:], uint32(i))
			batch = append(batch, c)
		}
		for _, err := range second(commitTogether(s, batch...)) {
			must(t, err)
		}
		s.writer.tidy()
	}
	oldest := checkHistory(t, s, all)
	must(t, closeStore())

	s, closeStore = stopped(t, dir)
	if again := checkHistory(t, s, all); again != oldest {
		t.Errorf("oldest revision %d after reopening, %d before", again, oldest)
	}
	must(t, closeStore())
}

func second[A, B any](_ A, b B) B { return b }

// checkHistory checks what Changes yields and refuses after n commits, and
// returns the oldest revision that it resumes from.
func checkHistory(t *testing.T, s *Store, n int) driver.Rev {
	t.Helper()
	st, err := s.Status(t.Context())
	must(t, err)
	kept := n - int(st.Oldest)
	if kept < driver.Retained || kept > driver.Retained+pruneSlack {
		t.Errorf("%d commits are kept, want %d to %d", kept, driver.Retained, driver.Retained+pruneSlack)
	}
	for _, after := range []driver.Rev{0, st.Oldest - 1} {
		for _, err := range s.Changes(t.Context(), after) {
			if !errors.Is(err, driver.ErrCompacted) {
				t.Errorf("changes after %d: %v", after, err)
			}
			break
		}
	}
	next := st.Oldest
	for c, err := range s.Changes(t.Context(), st.Oldest) {
		must(t, err)
		if next++; c.Rev != next || int(binary.BigEndian.Uint32(c.ID[:])) != int(next)-1 {
			t.Fatalf("change %d has revision %d", next, c.Rev)
		}
		if next == driver.Rev(n) {
			break
		}
	}
	return st.Oldest
}
