package rqlitebackend

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"trihold/repo/driver"
)

var quiet = slog.New(slog.DiscardHandler)

// haveBinary says why the tests that need a real rqlited cannot run, if so.
var haveBinary error

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		holdOpen(dir)
	}
	if _, haveBinary = findBinary(""); haveBinary != nil {
		fmt.Fprintf(os.Stderr, "SKIPPING what needs a real rqlited: %v\n", haveBinary)
	}
	os.Exit(m.Run())
}

// needBinary skips a test that cannot run.
func needBinary(t testing.TB) {
	t.Helper()
	if haveBinary != nil {
		t.Skip(haveBinary)
	}
}

// openManaged opens a managed store in dir, which the caller closes.
func openManaged(t testing.TB, dir string) *Store {
	t.Helper()
	needBinary(t)
	s, err := Open(t.Context(), Config{Dir: dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var _ driver.Store = (*Store)(nil)
