package inmem

import (
	"context"
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

func TestNothingAcknowledgedIsLostWhenTheProcessIsKilled(t *testing.T) {
	repotest.Crash(t, 20, func(_ context.Context, dir string) (driver.Store, error) {
		return Open(Config{Dir: dir, SnapshotBytes: 1 << 20})
	})
}
