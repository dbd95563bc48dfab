package sqlitebackend

import (
	"errors"
	"fmt"
	"time"

	"trihold/repo/driver"
)

// retryInterval is how often a replica that could not be written is tried again.
const retryInterval = 100 * time.Millisecond

// replicateInterval is how often the writer looks after the replica when there is
// nothing else to do.
func (s *Store) replicateInterval() time.Duration {
	return min(s.config.SyncInterval, retryInterval)
}

// awaitReplica waits, in class replica, until the replica has what was committed.
// If it fails, the commits of the batch are in the local database and may or may
// not be in the replica.
func (w *writer) awaitReplica() {
	if w.replica == nil {
		return
	}
	w.replica.dirty = w.replica.dirty || w.committed
	if w.store.config.Class != driver.Replica || !w.replica.dirty {
		return
	}
	err := w.sync()
	if err == nil {
		return
	}
	w.behind = err
	w.store.report("replicate", err)
	for _, r := range w.batch {
		if r.err == nil {
			r.rev, r.err = 0, driver.Failed("commit", driver.ErrUncertain, err)
		} else if !errors.Is(r.err, driver.ErrConflict) { // it may be the fault of an uncertain commit
			r.err = driver.Failed("commit", driver.ErrUnavailable, fmt.Errorf("%w, and then %w", r.err, err))
		}
	}
}

// followReplica brings an asynchronous replica up to date when it is time, and
// tries again one that has failed.
func (w *writer) followReplica() {
	if w.replica == nil || w.behind == nil && !w.replica.due(w.store.config.SyncInterval) {
		return
	}
	err := w.sync()
	switch {
	case err == nil && w.behind != nil:
		w.store.config.Logger.Info("sqlite: replica is up to date again", "path", w.store.config.Path)
	case err != nil && w.behind == nil:
		w.store.report("replicate", err)
	}
	w.behind = err
}
