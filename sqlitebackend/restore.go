package sqlitebackend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jmoiron/sqlx"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// restoreGap is how far the revision jumps when a database is restored. Commits
// that the replica did not get may have been seen, and their revisions must not
// be assigned again.
const restoreGap = 1 << 32

// restore makes sure that the local file is at least as new as the replica: it
// restores one that is missing and refuses one that is behind.
func (s *Store) restore(ctx context.Context, fresh bool) error {
	aside := s.config.Path + "-restore"
	if err := removeDatabase(aside); err != nil { // left by a process that was killed
		return err
	}
	defer removeDatabase(aside)
	if !fresh {
		return s.refuseBehind(ctx, aside)
	}
	found, err := s.replica.fetch(ctx, aside)
	if err != nil {
		return err
	}
	dir, exists := s.replica.localState()
	if !found {
		if exists {
			return fmt.Errorf("%s is missing, and replica %s is empty although %s shows that there was a database; give the replica that belongs to it, or remove %s to begin anew: %w",
				s.config.Path, s.config.Replica, dir, dir, driver.ErrInvalid)
		}
		return s.refuseOrphan()
	}
	if _, err := s.inspect(ctx, aside); err != nil {
		return fmt.Errorf("replica %s: %w", s.config.Replica, err)
	}
	if err := s.skipRevisions(ctx, aside); err != nil {
		return fmt.Errorf("replica %s: %w", s.config.Replica, err)
	}
	// What is left of the lost database does not belong to the restored one.
	if err := errors.Join(removeDatabase(s.config.Path), os.RemoveAll(dir)); err != nil {
		return err
	}
	if err := os.Rename(aside, s.config.Path); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	s.config.Logger.Info("sqlite: database restored", "path", s.config.Path, "replica", s.config.Replica)
	return syncDir(filepath.Dir(s.config.Path))
}

// refuseOrphan refuses to begin anew where a log shows that there was a database:
// SQLite would remove it. With a database that has its first page, the log was read,
// and holds what a process had begun to make when it was killed.
func (s *Store) refuseOrphan() error {
	if info, err := os.Stat(s.config.Path); err == nil && info.Size() > 0 {
		return nil
	}
	log := s.config.Path + "-wal"
	if info, err := os.Stat(log); err != nil || info.Size() == 0 {
		return nil
	}
	return fmt.Errorf("%s is missing or empty, but its log %s holds commits; put the file back or restore it from a backup, or remove the log to begin anew: %w",
		s.config.Path, log, driver.ErrCorrupt)
}

// refuseBehind refuses a local file that lacks commits which the replica has.
func (s *Store) refuseBehind(ctx context.Context, aside string) error {
	ahead, err := s.replica.ahead(ctx)
	if err != nil || !ahead {
		return err
	}
	found, err := s.replica.fetch(ctx, aside)
	if err != nil || !found {
		return err
	}
	theirs, err := latestRev(ctx, aside)
	if err != nil {
		return err
	}
	ours, err := latestRev(ctx, s.config.Path)
	if err != nil {
		return err
	}
	if theirs > ours {
		return fmt.Errorf("%s is at revision %d, replica %s at %d: the file is an old one; move it away to restore the newer state from the replica: %w",
			s.config.Path, ours, s.config.Replica, theirs, driver.ErrCorrupt)
	}
	return nil
}

// latestRev reads the revision of a database file that nobody has open.
func latestRev(ctx context.Context, path string) (rev driver.Rev, err error) {
	db, err := peek(path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return rev, failed("read revision of "+path, db.GetContext(ctx, &rev, revText))
}

// skipRevisions makes the revision jump, by a commit that touches nothing. A fence
// stays where it was last: at the latest revision.
func (s *Store) skipRevisions(ctx context.Context, path string) error {
	db, err := sqlx.Open(scheme, dsn(path, "mode=rw"))
	if err != nil {
		return failed("open", err)
	}
	err = s.jump(ctx, db)
	return failed("skip revisions", errors.Join(err, db.Close()))
}

func (s *Store) jump(ctx context.Context, db *sqlx.DB) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := s.createTables(ctx, tx); err != nil { // it may be of a time before there was a state
		return err
	}
	var rev int64
	if err := tx.GetContext(ctx, &rev, revText); err != nil {
		return err
	}
	id := make([]byte, len(driver.CommitID{}))
	_, _ = rand.Read(id) // it never returns an error
	if _, err := tx.ExecContext(ctx, sqlstmt.FenceLift); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, sqlstmt.ChangeInsert(1), rev+restoreGap, id, "[]"); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, sqlstmt.FenceLower); err != nil {
		return err
	}
	return tx.Commit()
}

// removeDatabase removes a database file and what SQLite keeps beside it.
func removeDatabase(path string) error {
	for _, suffix := range []string{"-wal", "-shm", "-journal", ".tmp", ""} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
