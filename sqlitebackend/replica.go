package sqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/benbjohnson/litestream/file"

	"trihold/repo/driver"
)

// This file is all that knows Litestream, whose interface as a library is not
// stable: the version in go.mod is the one that it was written for.

const (
	// replicaBusy is how long Litestream waits for a lock. It is called by the
	// writer, which holds none meanwhile.
	replicaBusy = 50 * time.Millisecond
	// closeTimeout bounds the last attempts to reach the replica.
	closeTimeout = 10 * time.Second
	// syncTimeout bounds one attempt.
	syncTimeout = 10 * time.Second
	// maxLogBehind is how much the write-ahead log may grow before an
	// asynchronous replica is brought up to date without waiting for its time.
	maxLogBehind = 8 << 20
)

// A replica is a copy of the database elsewhere, kept by Litestream. Its monitors
// are off: under a writer that never pauses they get no lock, the replica falls
// behind and the log grows without bound. The writer calls sync between its
// transactions instead.
type replica struct {
	url   string
	path  string
	db    *litestream.DB
	store *litestream.Store

	// Owned by the writer.
	synced time.Time // when sync last succeeded
	dirty  bool      // there were commits since
}

// calm is a handler for the routine reports of Litestream: what it calls
// information is for those who debug it.
type calm struct{ slog.Handler }

func (h calm) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, lower(level))
}

func (h calm) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lower(r.Level)
	return h.Handler.Handle(ctx, r)
}

func (h calm) WithAttrs(attrs []slog.Attr) slog.Handler { return calm{h.Handler.WithAttrs(attrs)} }
func (h calm) WithGroup(name string) slog.Handler       { return calm{h.Handler.WithGroup(name)} }

func lower(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}

// newReplica opens nothing yet.
func newReplica(c Config) (*replica, error) {
	if strings.ContainsAny(c.Path, "?#%") {
		return nil, fmt.Errorf("%s: Litestream cannot replicate a file with ?, # or %% in its path; rename it: %w", c.Path, driver.ErrInvalid)
	}
	logger := slog.New(calm{c.Logger.With("component", "litestream").Handler()})
	db := litestream.NewDB(c.Path)
	db.MonitorInterval = 0
	db.BusyTimeout = replicaBusy
	db.MinCheckpointPageN = int(c.logPages)
	client := file.NewReplicaClient(strings.TrimPrefix(c.Replica, "file://"))
	db.Replica = litestream.NewReplicaWithClient(db, client)
	db.Replica.MonitorEnabled = false
	client.Replica = db.Replica
	store := litestream.NewStore([]*litestream.DB{db}, litestream.DefaultCompactionLevels)
	store.Logger = logger
	store.ShutdownSyncTimeout = closeTimeout
	db.ShutdownSyncTimeout = closeTimeout
	db.SetLogger(logger)
	return &replica{url: c.Replica, path: c.Path, db: db, store: store}, nil
}

// open starts replication and brings the replica up to date.
func (r *replica) open(ctx context.Context) error {
	if err := r.store.Open(ctx); err != nil {
		return r.failed("open", err)
	}
	return r.sync(ctx)
}

// sync makes the replica hold every commit that is in the database now. The
// caller must have no transaction open.
func (r *replica) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if err := r.db.SyncAndWait(ctx); err != nil {
		return r.failed("write", err)
	}
	r.synced, r.dirty = time.Now(), false
	return nil
}

// due reports whether an asynchronous replica should be brought up to date.
func (r *replica) due(interval time.Duration) bool {
	if !r.dirty {
		return false
	}
	if time.Since(r.synced) >= interval {
		return true
	}
	info, err := os.Stat(r.path + "-wal")
	return err == nil && info.Size()-r.logSynced() > maxLogBehind
}

// logSynced returns how much of the write-ahead log the replica has.
func (r *replica) logSynced() int64 { return r.db.SyncDiagnostic().LastSyncedWALOffset }

// ahead reports whether the replica may hold commits that the local file lacks:
// its latest file is not one that was sent from here.
func (r *replica) ahead(ctx context.Context) (bool, error) {
	local, err := r.db.Pos()
	if err != nil {
		return true, nil // the local state is damaged; the caller compares revisions
	}
	remote, err := r.db.Replica.MaxLTXFileInfo(ctx, 0)
	if err != nil {
		return false, r.failed("read", err)
	}
	return remote.MaxTXID > local.TXID, nil
}

// fetch restores the latest state of the replica to a path, and checks its
// integrity. It reports false if the replica holds nothing.
func (r *replica) fetch(ctx context.Context, to string) (found bool, err error) {
	opt := litestream.NewRestoreOptions()
	opt.OutputPath = to
	opt.IntegrityCheck = litestream.IntegrityCheckQuick
	err = r.db.Replica.Restore(ctx, opt)
	if errors.Is(err, litestream.ErrTxNotAvailable) || errors.Is(err, litestream.ErrNoSnapshots) {
		return false, nil
	}
	if err == nil {
		return true, nil
	}
	var file *fs.PathError
	if ctx.Err() != nil || errors.As(err, &file) {
		return false, r.failed("restore", err)
	}
	// Everything was read, and it does not fit together.
	return false, driver.Failed("restore replica "+r.url, driver.ErrCorrupt, fmt.Errorf(
		"%w; use another copy of the replica, or move it away to begin anew without its data", oneLine(err)))
}

// localState returns the directory in which Litestream keeps what it has not sent
// yet, and whether it exists.
func (r *replica) localState() (dir string, exists bool) {
	dir = r.db.MetaPath()
	_, err := os.Stat(dir)
	return dir, err == nil
}

// localSize returns the bytes in that directory.
func (r *replica) localSize() int64 {
	var size int64
	dir, _ := r.localState()
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // it was removed meanwhile
		}
		if info, err := entry.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}

// close sends what is left and ends replication.
func (r *replica) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := r.store.Close(ctx); err != nil {
		return r.failed("close", err)
	}
	return nil
}

func (r *replica) failed(what string, err error) error {
	return driver.Failed(what+" replica "+r.url, driver.ErrUnavailable, oneLine(err))
}
