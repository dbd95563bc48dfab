package rqlitebackend

import (
	"context"
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// The kill hits the program; its rqlited dies with it.
func TestNothingAcknowledgedIsLostWhenTheProgramIsKilled(t *testing.T) {
	needBinary(t)
	repotest.Crash(t, 20, func(ctx context.Context, dir string) (driver.Store, error) {
		return Open(ctx, Config{Dir: dir, Logger: quiet})
	})
}
