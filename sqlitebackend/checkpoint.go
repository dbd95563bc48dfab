package sqlitebackend

import (
	"context"
	"fmt"
	"time"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

const (
	// checkpointPages is the length of the write-ahead log, in pages of 4 KiB, at
	// which it is copied into the database, so that it can start over. A longer
	// log saves copying pages that change often.
	checkpointPages = 4096
	// quietLimit is how long snapshots are waited for that keep a log of twice the
	// length from starting over; no new ones begin meanwhile.
	quietLimit = 100 * time.Millisecond
	// maxLogBytes is what the file of a log that started over is cut to.
	maxLogBytes = 32 << 20
	// looksEvery is how many writes come between two looks at the log.
	looksEvery = 256
)

const (
	logLength  = `PRAGMA wal_checkpoint(NOOP)`
	checkpoint = `PRAGMA wal_checkpoint(PASSIVE)`
)

// tendLog keeps the write-ahead log short. With a replica that is Litestream's
// business, within sync: it must have copied a page before the log starts over.
//
// A checkpoint copies only what no snapshot still needs from the log, and the log
// starts over only when all of it is copied. Snapshots that overlap all the time
// would let it grow for ever.
func (w *writer) tendLog() {
	if w.replica != nil || w.unseen < looksEvery || w.broken != nil {
		return
	}
	w.unseen = 0
	length, err := w.walPages(logLength)
	if err == nil && length >= 2*w.store.config.logPages {
		defer w.store.readers.quiesce(quietLimit)()
	}
	if err == nil && length >= w.store.config.logPages {
		_, err = w.walPages(checkpoint)
	}
	w.store.report("checkpoint", failed("checkpoint", err))
}

// walPages runs a checkpoint pragma and returns the length of the log.
func (w *writer) walPages(pragma string) (int64, error) {
	values, found, err := w.session.row(sqlstmt.Stmt{SQL: pragma})
	if err != nil || !found {
		return 0, err
	}
	pages, ok := values[1].(int64)
	if !ok {
		return 0, fmt.Errorf("%s: %v: %w", pragma, values, driver.ErrCorrupt)
	}
	return pages, nil
}

// sync brings the replica up to date. If the log has not started over for long,
// it waits for snapshots first, because Litestream does not.
func (w *writer) sync() error {
	if w.unseen >= looksEvery {
		w.unseen = 0
		if length, err := w.walPages(logLength); err == nil && length >= 2*w.store.config.logPages {
			defer w.store.readers.quiesce(quietLimit)()
		}
	}
	return w.replica.sync(context.Background())
}
