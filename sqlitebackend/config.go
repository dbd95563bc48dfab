package sqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trihold/internal/lockfile"
	"trihold/repo/driver"
)

const scheme = "sqlite"

func init() { driver.Register(scheme, openURL) }

// Defaults of a Config.
const (
	DefaultSyncInterval  = time.Second
	DefaultSnapshotLimit = time.Minute
)

// A Config says which store to open and how. Only Path is required.
type Config struct {
	// Path is the database file. Its directory must exist.
	Path string

	// Class is what an acknowledged commit survives: driver.Process,
	// driver.Disk (the default) or driver.Replica.
	Class driver.Class

	// Replica is where the database is replicated to: file:///absolute/dir. In
	// class Replica every commit waits for it, otherwise it follows behind.
	Replica string

	// SyncInterval is how far an asynchronous replica may be behind; zero is
	// DefaultSyncInterval.
	SyncInterval time.Duration

	// SnapshotLimit is how long a snapshot may be read from; zero is
	// DefaultSnapshotLimit. While a snapshot is open the write-ahead log cannot
	// start over, and grows.
	SnapshotLimit time.Duration

	// Logger receives what cannot be returned; nil is slog.Default.
	Logger *slog.Logger

	logPages int64 // checkpointPages; tests make it less
}

// openURL is the driver.Opener: sqlite:PATH?class=&replica=&sync=&snapshot=
func openURL(ctx context.Context, u *driver.URL) (driver.Store, error) {
	c := Config{
		Path:          u.Path,
		Class:         driver.Class(u.Params.String("class", "")),
		Replica:       u.Params.String("replica", ""),
		SyncInterval:  u.Params.Duration("sync", 0),
		SnapshotLimit: u.Params.Duration("snapshot", 0),
	}
	if err := u.Params.Err(); err != nil {
		return nil, err
	}
	if u.Hosts != nil || u.User != nil {
		return nil, fmt.Errorf("%w: a SQLite store is a file on this machine; write sqlite:PATH or sqlite:///PATH", driver.ErrInvalid)
	}
	return Open(ctx, c)
}

// Open opens a store. It takes the lock of the database file, and touches
// nothing else before Prepare.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	lock, err := lockfile.Acquire(c.Path+"-lock", c.Path)
	if err != nil {
		return nil, err
	}
	return newStore(c, lock), nil
}

// complete checks a Config and fills in its defaults.
func (c Config) complete() (Config, error) {
	var err error
	if c.Class, err = driver.ParseClass(string(c.Class), scheme, driver.Process, driver.Disk, driver.Replica); err != nil {
		return c, err
	}
	if c.Path, err = databasePath(c.Path); err != nil {
		return c, err
	}
	if c.Replica != "" {
		dir, isFile := strings.CutPrefix(c.Replica, "file://")
		if !isFile || !filepath.IsAbs(dir) {
			return c, fmt.Errorf("replica %q is not file:///absolute/directory: %w", c.Replica, driver.ErrInvalid)
		}
	} else if c.Class == driver.Replica {
		return c, fmt.Errorf("class replica waits for a replica, and none is given; add replica=file:///absolute/directory, or choose class disk: %w", driver.ErrInvalid)
	}
	if c.SyncInterval < 0 || c.SnapshotLimit < 0 {
		return c, fmt.Errorf("a negative duration: %w", driver.ErrInvalid)
	}
	if c.SyncInterval == 0 {
		c.SyncInterval = DefaultSyncInterval
	}
	if c.SnapshotLimit == 0 {
		c.SnapshotLimit = DefaultSnapshotLimit
	}
	if c.logPages == 0 {
		c.logPages = checkpointPages
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// databasePath returns the absolute path of the database file, without symbolic
// links, so that two names of one file have one lock.
func databasePath(path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("no file is named; write sqlite:PATH, such as sqlite:app.db: %w", driver.ErrInvalid)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(dir, filepath.Base(abs))
	} else if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("directory %s does not exist; create it first: %w", filepath.Dir(abs), driver.ErrInvalid)
	} else {
		return "", err
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return abs, nil
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory; name a file, such as %s: %w", abs, filepath.Join(abs, "app.db"), driver.ErrInvalid)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file: %w", abs, driver.ErrInvalid)
	}
	return abs, nil
}
