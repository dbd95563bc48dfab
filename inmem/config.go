package inmem

import (
	"context"
	"fmt"
	"log/slog"

	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// Scheme is the scheme of this backend's URLs.
const Scheme = "inmem"

// minSegment is the smallest log file that holds more than its own headers.
const minSegment = 24 << 10

// A Config says where a store keeps its data and how safely.
type Config struct {
	// Dir is the directory of log and snapshots. It is created if it is missing,
	// and must be empty or hold a store. Class memory takes none.
	Dir string
	// Class is memory, process or disk, and the default is disk; for a member of a
	// cluster it is quorum, which is then the default.
	Class driver.Class
	// Cluster makes the store a member of a cluster, if it names a node.
	Cluster ClusterConfig
	// SegmentBytes is the size of log files; the default is 16 MiB. They are
	// written in full ahead of use. A commit that does not fit into one is refused
	// with ErrUnavailable, so less than the default is for tests only.
	SegmentBytes int64
	// SnapshotBytes is how much log makes a new snapshot worth while; the default
	// is 64 MiB. A snapshot is never written before the log has grown as large as
	// the last one.
	SnapshotBytes int64
	// Logger hears of recovered tails and of snapshots; the default is
	// slog.Default.
	Logger *slog.Logger
	// FS is the disk; the default is the operating system's.
	FS vfs.FS
	// Unsafe is for negative controls of the fault suite, never in a service: it
	// takes away what the suite must then miss. No URL reaches it.
	Unsafe struct {
		// SkipChecksums believes log entries and snapshot blocks without looking
		// at their checksums.
		SkipChecksums bool
	}
}

func init() { driver.Register(Scheme, openURL) }

func openURL(_ context.Context, u *driver.URL) (driver.Store, error) {
	c := Config{Dir: u.Path}
	c.Class = driver.Class(u.Params.String("class", ""))
	c.SegmentBytes = int64(u.Params.Int("segment_bytes", 0))
	c.SnapshotBytes = int64(u.Params.Int("snapshot_bytes", 0))
	if err := c.Cluster.parse(&u.Params); err != nil {
		return nil, err
	}
	if err := u.Params.Err(); err != nil {
		return nil, err
	}
	if c.SegmentBytes != 0 && c.SegmentBytes < wal.DefaultSegmentSize { // the largest commit must fit
		return nil, fmt.Errorf("segment_bytes must be at least %d: %w", wal.DefaultSegmentSize, driver.ErrInvalid)
	}
	if u.Hosts != nil {
		return nil, fmt.Errorf("%s: takes a directory, not a host: %w", Scheme, driver.ErrInvalid)
	}
	return Open(c)
}

// validate checks a Config and fills in its defaults.
func (c *Config) validate() error {
	var err error
	if c.Class, err = c.parseClass(); err != nil {
		return err
	}
	if err := c.Cluster.validate(); err != nil {
		return err
	}
	switch {
	case c.Class == driver.Memory && c.Dir != "":
		return fmt.Errorf("class memory keeps nothing: leave out the directory %s, or ask for class process or disk: %w", c.Dir, driver.ErrInvalid)
	case c.Class != driver.Memory && c.Dir == "":
		return fmt.Errorf("class %s needs a directory, such as inmem:data: %w", c.Class, driver.ErrInvalid)
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = wal.DefaultSegmentSize
	}
	if c.SegmentBytes < minSegment {
		return fmt.Errorf("a log file needs at least %d bytes: %w", minSegment, driver.ErrInvalid)
	}
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = 64 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.FS == nil {
		c.FS = vfs.OS{}
	}
	return nil
}

// parseClass returns the class, or the default.
func (c *Config) parseClass() (driver.Class, error) {
	if c.Cluster.Node == "" {
		return driver.ParseClass(string(c.Class), Scheme, driver.Memory, driver.Process, driver.Disk)
	}
	if c.Class == "" {
		return driver.Quorum, nil
	}
	return driver.ParseClass(string(c.Class), "a member of an inmem cluster", driver.Quorum)
}
