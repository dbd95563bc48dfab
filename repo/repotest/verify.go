package repotest

import (
	"context"
	"testing"
	"time"

	"trihold/internal/verify"
	"trihold/repo/driver"
)

// Verify checks that a store is consistent in itself: every index holds exactly
// the rows of its table, every order is in order in both directions, unique
// indices are unique, rows are in canonical form, and no row is newer than the
// store. It reads one snapshot, so it may run while others write.
func Verify(t testing.TB, d driver.Store, s *driver.Schema) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := verify.Store(ctx, d, s); err != nil {
		t.Errorf("the store is not consistent: %v", err)
	}
}
