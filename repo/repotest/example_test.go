package repotest_test

import (
	"context"
	"path/filepath"
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// The harness of a backend, and its one test.
func ExampleHarness() {
	harness := repotest.Harness{
		Open: func(t testing.TB, dir string) driver.Store {
			s, err := driver.Open(context.Background(), "sqlite:"+filepath.Join(dir, "app.db"))
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		repotest.Conformance(t, harness)
	}
}

// A history tells two stores apart, or does not.
func ExampleHistory() {
	h := repotest.NewHistory(1, 100)
	_ = func(t *testing.T) {
		got := transcript(t, h, openURL(t, "sqlite:"+filepath.Join(t.TempDir(), "app.db")))
		if diff := got.Diff(transcript(t, h, openModel(t))); diff != "" {
			t.Error(diff)
		}
	}
}
