package sqlitebackend

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"

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

// A process that was killed while it made the database leaves a log in which nothing
// is committed.
func TestADatabaseThatWasBegunIsMadeAnew(t *testing.T) {
	begun, c := filepath.Join(t.TempDir(), "begun.db"), testConfig(t.TempDir(), driver.Disk)
	db, err := sqlx.Open(scheme, dsn(begun, "mode=rwc", pragma("journal_mode", "WAL")))
	must(t, err)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE begun (a)")
	must(t, err)
	for from, size := range map[string]int{"": 4096, "-wal": 32} { // the log's header
		text, err := os.ReadFile(begun + from)
		must(t, err)
		must(t, os.WriteFile(c.Path+from, text[:size], 0o644))
	}
	must(t, db.Close())
	d, err := Open(t.Context(), c)
	must(t, err)
	if err := d.Prepare(t.Context(), noteSchema.Driver()); err != nil {
		t.Errorf("prepare: %v", err)
	}
	must(t, d.Close())
}
