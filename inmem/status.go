package inmem

// A ClusterStatus is what a member of a cluster knows of itself and of the cluster at
// one moment. Each member answers from what it has, also without a leader; what only
// the leader can know is -1 elsewhere.
type ClusterStatus struct {
	Name    string `json:"name"`    // of this node
	ID      string `json:"id"`      // name/directory, by which Raft knows it
	Cluster string `json:"cluster"` // in hex
	Epoch   uint64 `json:"epoch"`   // raised by every recovery without a quorum
	Address string `json:"address"` // what others dial

	Role          Role   `json:"role"`
	Term          uint64 `json:"term"`
	Leader        string `json:"leader,omitempty"` // its name; empty if none is known
	LeaderAddress string `json:"leader_address,omitempty"`
	Elections     int64  `json:"elections"` // changes of term seen since the start

	Rev      int64  `json:"rev"` // of the published state
	Commit   uint64 `json:"commit_index"`
	Applied  uint64 `json:"applied_index"`
	FirstLog uint64 `json:"first_log_index"`
	LastLog  uint64 `json:"last_log_index"`

	Members []MemberStatus `json:"members"`

	Queue     int   `json:"queue"`     // commits that wait to be decided
	InFlight  int   `json:"in_flight"` // batches that were decided and are not durable
	Conflicts int64 `json:"conflicts"` // commits refused with ErrConflict since the start
	Forwarded int64 `json:"forwarded"` // commits sent on to a leader since the start

	Fsync    FsyncStatus    `json:"fsync"`
	Snapshot SnapshotStatus `json:"snapshot"`
	Tables   []TableStatus  `json:"tables"`

	// StateHash is the hash of the state after the batch with this raft index, by which
	// replicas are compared.
	StateHash      string `json:"state_hash"`
	StateHashIndex uint64 `json:"state_hash_index"`

	// FreshS says that a stale read here is at most so many seconds old; -1 is unknown.
	FreshS float64 `json:"fresh_s"`

	Free     int64 `json:"free"`     // bytes of the disk that may still be written; -1 is unknown
	Format   int   `json:"format"`   // in which the cluster writes now
	Readable int   `json:"readable"` // the highest format that this node reads

	Left        bool   `json:"left,omitempty"`        // this node was told to leave, and has
	ReadOnly    string `json:"read_only,omitempty"`   // why no commit is taken, which passes
	Failed      string `json:"failed,omitempty"`      // why this node takes no part any more
	Quarantined string `json:"quarantined,omitempty"` // why its state is not believed
}

// A Role is what a node is in its cluster.
type Role string

// The roles.
const (
	RoleLeader    Role = "leader"
	RoleFollower  Role = "follower"
	RoleCandidate Role = "candidate"
	RoleNonvoter  Role = "nonvoter"
	RoleStopped   Role = "stopped"
)

// A MemberStatus is one member of the cluster as this node sees it.
type MemberStatus struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	Address string `json:"address"`
	Voter   bool   `json:"voter"`
	Self    bool   `json:"self"`
	Leader  bool   `json:"leader"`
	// ContactMs is how long ago the leader has heard of it; -1 is unknown.
	ContactMs float64 `json:"contact_ms"`
	// Lag is how many log entries it is behind the leader; -1 is unknown.
	Lag int64 `json:"lag"`
}

// A FsyncStatus says how long writes of the log took since the start.
type FsyncStatus struct {
	Count   int64         `json:"count"`
	P50Us   float64       `json:"p50_us"`
	P99Us   float64       `json:"p99_us"`
	MaxUs   float64       `json:"max_us"`
	SumUs   float64       `json:"sum_us"`
	Buckets []FsyncBucket `json:"buckets,omitempty"`
}

// A FsyncBucket counts the writes that took at most so long, those of the buckets
// before it included.
type FsyncBucket struct {
	UpToUs float64 `json:"up_to_us"`
	Count  int64   `json:"count"`
}

// A SnapshotStatus is the newest snapshot; the zero value is that there is none.
type SnapshotStatus struct {
	Rev   int64   `json:"rev"`
	Index uint64  `json:"index"`
	AgeS  float64 `json:"age_s"` // of the state in it; -1 is unknown
	Bytes int64   `json:"bytes"`
}

// A TableStatus is how much one table holds.
type TableStatus struct {
	Name  string `json:"name"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"` // of the rows as they are logged, an estimate of their size in memory
}
