package main

import (
	"context"
	"log/slog"

	"trihold/bench/fault"
	"trihold/bench/fault/simulate"
	"trihold/inmem"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// simulated is the in-memory store on a simulated disk: it is the one whose disk is
// an interface.
func simulated() *fault.Simulated {
	open := func(skipChecksums bool) simulate.Open {
		return func(_ context.Context, fs vfs.FS, dir string) (driver.Store, error) {
			// Small files, so that there are many, and warnings that are to be expected.
			c := inmem.Config{Dir: dir, FS: fs, SegmentBytes: 32 << 10, SnapshotBytes: 24 << 10, Logger: slog.New(slog.DiscardHandler)}
			c.Unsafe.SkipChecksums = skipChecksums
			return inmem.Open(c)
		}
	}
	return &fault.Simulated{Subject: "inmem/disk", Open: open(false), Unchecked: open(true)}
}
