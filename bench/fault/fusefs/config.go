package fusefs

import "log/slog"

// Config says what to mount and how it behaves.
type Config struct {
	// Back is the directory that holds the files, created if it is missing. What
	// it holds at Mount is durable. It must be on one real file system.
	Back string
	// Mountpoint is created if it is missing. A mount that a dead process left
	// there is removed.
	Mountpoint string
	// KeepNames makes changes of directories durable at once.
	KeepNames bool
	// LieAboutSync makes every fsync succeed without effect, so that a victim that
	// does everything right loses data: the control that proves that a test can
	// fail.
	LieAboutSync bool
	// Capacity is how many bytes the files may have in total, holes included;
	// 0 is no limit. See SetCapacity.
	Capacity int64
	Logger   *slog.Logger
}

// Counts are what was asked of a file system since it was mounted.
type Counts struct {
	Ops      map[Op]int64 // operations, by kind, failed ones included
	Injected int64        // operations that met a rule that failed or delayed them
	NoSpace  int64        // operations that exceeded the capacity
	Lies     int64        // syncs that were not done
}
