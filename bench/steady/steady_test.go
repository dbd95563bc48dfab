package steady

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "trihold/inmem"
	"trihold/repo/driver"
)

// loaded returns a store that was loaded for a moment, and the ledger.
func loaded(t *testing.T) (*Store, *Ledger) {
	t.Helper()
	s, err := Open(t.Context(), "inmem:"+filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if added, err := s.Fill(t.Context(), 2500, func(int64) {}); err != nil || added != 2500 {
		t.Fatalf("added %d rows, %v", added, err)
	}
	l := Load{Store: s, Rate: 1000, For: 300 * time.Millisecond, Shown: func(Sample) {}}
	ledger, counts, err := l.Run(t.Context())
	if err != nil || counts.Acknowledged < 100 || counts.Failed+counts.Uncertain > 0 {
		t.Fatalf("%+v, %v", counts, err)
	}
	return s, ledger
}

func check(t *testing.T, s *Store, l *Ledger) *Faults {
	t.Helper()
	f, err := l.Check(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEveryAcknowledgedCommitIsFoundOnce(t *testing.T) {
	s, l := loaded(t)
	if f := check(t, s, l); f.Any() {
		t.Error(f)
	}
	if added, err := s.Fill(t.Context(), 2500, func(int64) {}); err != nil || added != 0 {
		t.Errorf("filled again with %d rows, %v", added, err)
	}
}

func TestTheLedgerNoticesWhatIsWrong(t *testing.T) {
	s, l := loaded(t)
	busy := 0
	for len(l.parts[busy]) < 4 {
		busy++
	}
	part := l.parts[busy]
	commit := func(writes ...driver.Write) driver.Rev {
		rev, err := s.settle(t.Context(), &driver.Commit{ID: newID(), Writes: writes})
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	commit(driver.Write{Kind: driver.Delete, Table: s.table, Key: part[0].key})
	if f := check(t, s, l); f.Missing != 1 || f.Doubled+f.Unasked != 0 {
		t.Errorf("a row is gone: %v", f)
	}
	part[0].rev = uncertain
	if f := check(t, s, l); f.Any() {
		t.Errorf("it may be gone: %v", f)
	}
	part[1].rev += 1_000_000
	if f := check(t, s, l); f.Doubled != 1 || f.Missing+f.Unasked != 0 {
		t.Errorf("a row has another revision: %v", f)
	}
	part[1].rev = part[2].rev
	if f := check(t, s, l); f.Doubled < 1 || !strings.Contains(f.String(), "two commits") {
		t.Errorf("two commits have one revision: %v", f)
	}
	part[1].rev = uncertain
	part[3].rev = failed
	if f := check(t, s, l); f.Unasked != 1 || f.Missing+f.Doubled != 0 {
		t.Errorf("a failed commit is there: %v", f)
	}
}
