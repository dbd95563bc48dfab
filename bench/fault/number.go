package fault

// A Number is a fault of the field's catalogue, whether it is built here or not.
type Number struct {
	ID, What string
	// Waits says what the ones that are not built are waiting for.
	Waits string
}

// Numbers returns the catalogue that Fault.Numbers refers to.
func Numbers() []Number {
	return []Number{
		{"F01", "kill -9 of the leader, or of the only node", ""},
		{"F02", "kill -9 of a follower", ""},
		{"F03", "kill -9 of all nodes at once", ""},
		{"F04", "crash loop", ""},
		{"F05", "crash at the N-th write, sync or rename", ""},
		{"F06", "pause for seconds", ""},
		{"F07", "pauses as of a garbage collector", ""},
		{"F08", "graceful stop, rolling restart", ""},
		{"F09", "symmetric partition", ""},
		{"F10", "one-way partition", ""},
		{"F11", "bridge: two nodes that see a third, not each other", ""},
		{"F12", "links clogged one by one, healed in another order", ""},
		{"F13", "client cut off from the store", ""},
		{"F14", "delay and jitter", ""},
		{"F15", "loss of packets", "network namespaces"},
		{"F16", "narrow bandwidth", ""},
		{"F17", "connections reset, half open, read slowly", ""},
		{"F18", "bytes flipped in a stream", ""},
		{"F19", "clock that jumps or drifts", "a clock of the store's own"},
		{"F20", "full disk of one node", ""},
		{"F21", "full disks of all nodes", ""},
		{"F22", "slow sync", ""},
		{"F23", "a sync that fails", ""},
		{"F24", "a write that fails or is short", ""},
		{"F25", "a read that fails at start", ""},
		{"F26", "loss of power of one node", ""},
		{"F27", "loss of power of all nodes", ""},
		{"F28", "unsynced sectors torn and reordered", ""},
		{"F29", "log cut short at rest", ""},
		{"F30", "bit flipped in a log at rest", ""},
		{"F31", "bit flipped in a snapshot", ""},
		{"F32", "bit flipped in a database", ""},
		{"F33", "bit flipped in an object of a replica", ""},
		{"F34", "replica's store away", ""},
		{"F35", "replica's store slow, full, refusing, truncating", ""},
		{"F36", "replica that silently stopped", "a drill that restores on an interval"},
		{"F37", "disk lost, begun anew from a replica or from peers", ""},
		{"F38", "quorum lost for good", ""},
		{"F39", "restore, write, and restore again", ""},
		{"F40", "two writers", ""},
		{"F41", "follower that needs a snapshot under load", ""},
		{"F42", "members added and removed under load", ""},
		{"F43", "crash during snapshot, compaction, rename", ""},
		{"F44", "files of an older version", "a released version"},
		{"F45", "nodes of two versions", "a released version"},
		{"F46", "memory limit", "control groups"},
		{"F47", "file descriptors used up", "a limit set at run time"},
		{"F48", "starved of processor time", "control groups"},
		{"F49", "contexts that expire, outcomes unknown", ""},
		{"F50", "data directories swapped or cloned", ""},
		{"F51", "schema changed under load", "schema changes"},
		{"P1", "partition and kill", ""},
		{"P2", "partition and full disk", ""},
		{"P3", "pause and slow sync", ""},
		{"P4", "kill, and the replica's store away", ""},
		{"P5", "members and partition", ""},
		{"P6", "loss of power and a flipped bit", ""},
	}
}
