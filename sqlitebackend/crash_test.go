package sqlitebackend

import (
	"context"
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

func TestKillsUnderLoadLoseNothing(t *testing.T) { killed(t, driver.Disk, 20) }

func TestKillsUnderLoadLoseNothingInClassProcess(t *testing.T) { killed(t, driver.Process, 5) }

func TestKillsUnderLoadLoseNothingInClassReplica(t *testing.T) { killed(t, driver.Replica, 5) }

func killed(t *testing.T, class driver.Class, rounds int) {
	if testing.Short() {
		rounds = 3
	}
	repotest.Crash(t, rounds, func(ctx context.Context, dir string) (driver.Store, error) {
		return Open(ctx, testConfig(dir, class))
	})
}
