package migrate

import (
	"context"
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// What a switchable store adds must not show: it passes the suite like the backend
// behind it. It does not let itself be fenced and loaded, though: a program that meets
// a fence waits for whoever moves the store.
func TestConformance(t *testing.T) {
	repotest.Conformance(t, repotest.Harness{
		Open: func(t testing.TB, dir string) driver.Store {
			l, err := Open(context.Background(), Config{Store: "inmem:" + dir})
			if err != nil {
				t.Fatal(err)
			}
			return l
		},
		Except: map[string]string{"moving": "a switchable store waits at a fence, and follows it"},
	})
}
