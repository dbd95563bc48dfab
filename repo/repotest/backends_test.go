package repotest_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	_ "trihold/inmem"
	"trihold/repo"
	"trihold/repo/repotest"
	_ "trihold/rqlitebackend"
	_ "trihold/sqlitebackend"
)

// backends are the stores that must be interchangeable, by URL in a directory.
var backends = []struct{ name, url string }{
	{"inmem", "inmem:%s/data"},
	{"sqlite", "sqlite:%s/app.db"},
	{"rqlite", "rqlite:%s/rq?managed=1"},
}

// One random history, with restarts in it, gives the same answers on every
// backend, byte for byte: rows, orders, pages, errors, revisions, changes,
// digests. The model says which answers are right.
func TestConformanceTranscriptsAreEqualAcrossBackends(t *testing.T) {
	const turns = 150
	for _, seed := range []uint64{1, repotest.Seed(t)} {
		h := repotest.NewHistory(seed, turns)
		want := transcript(t, h, openModel(t))
		for _, b := range backends {
			t.Run(fmt.Sprintf("%s, seed %d", b.name, seed), func(t *testing.T) {
				open := openURL(t, fmt.Sprintf(b.url, t.TempDir()))
				if diff := transcript(t, h, open).Diff(want); diff != "" {
					t.Errorf("seed %d: %s", seed, diff)
				}
			})
		}
	}
}

// transcript runs a history on the store that open opens, again and again.
func transcript(t *testing.T, h repotest.History, open func() *repo.Store) repotest.Transcript {
	t.Helper()
	s := open()
	return h.Run(t.Context(), s, func() *repo.Store {
		s = open()
		return s
	})
}

// openModel returns a function that opens one model again and again.
func openModel(t *testing.T) func() *repo.Store {
	var m *repotest.Model
	return func() *repo.Store {
		if m == nil {
			m = repotest.NewModel()
		} else {
			m = m.Reopen()
		}
		s, err := repo.New(t.Context(), m, repotest.Schema)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// openURL returns a function that opens a store, which is closed at the end of
// the test.
func openURL(t *testing.T, url string) func() *repo.Store {
	return func() *repo.Store {
		t.Helper()
		s, err := repo.Open(context.Background(), url, repotest.Schema)
		if err != nil && strings.Contains(err.Error(), "there is no rqlited") {
			fmt.Fprintf(os.Stderr, "SKIPPING %s: %v\n", t.Name(), err)
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("close %s: %v", url, err)
			}
		})
		return s
	}
}
