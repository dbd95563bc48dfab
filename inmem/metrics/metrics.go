package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trihold/inmem"
)

// scrapeWait bounds how long a scrape waits for a status, which rests on a disk.
const scrapeWait = 5 * time.Second

// A Collector makes samples of the status of one member.
type Collector struct {
	// Status returns the status of the member.
	Status func(context.Context) (inmem.ClusterStatus, error)
}

var _ prometheus.Collector = Collector{}

// A number is a metric that needs no more than the status.
type number struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*inmem.ClusterStatus) float64 // negative is unknown
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("trihold_"+name, help, labels, nil)
}

func gauge(name, help string, of func(*inmem.ClusterStatus) float64) number {
	return number{desc(name, help), prometheus.GaugeValue, of}
}

func counter(name, help string, of func(*inmem.ClusterStatus) float64) number {
	return number{desc(name, help), prometheus.CounterValue, of}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

var numbers = []number{
	gauge("term", "The Raft term.", func(s *inmem.ClusterStatus) float64 { return float64(s.Term) }),
	gauge("epoch", "The epoch of the cluster, raised by recoveries without a quorum.", func(s *inmem.ClusterStatus) float64 { return float64(s.Epoch) }),
	gauge("leader", "1 if this node leads.", func(s *inmem.ClusterStatus) float64 { return truth(s.Role == inmem.RoleLeader) }),
	gauge("leader_known", "1 if this node knows a leader.", func(s *inmem.ClusterStatus) float64 { return truth(s.Leader != "") }),
	counter("elections_total", "Changes of term seen since the start.", func(s *inmem.ClusterStatus) float64 { return float64(s.Elections) }),
	gauge("revision", "The revision of the published state.", func(s *inmem.ClusterStatus) float64 { return float64(s.Rev) }),
	gauge("commit_index", "The last log entry known to be on a majority.", func(s *inmem.ClusterStatus) float64 { return float64(s.Commit) }),
	gauge("applied_index", "The last log entry applied here.", func(s *inmem.ClusterStatus) float64 { return float64(s.Applied) }),
	gauge("first_log_index", "The first log entry kept here.", func(s *inmem.ClusterStatus) float64 { return float64(s.FirstLog) }),
	gauge("last_log_index", "The last log entry here.", func(s *inmem.ClusterStatus) float64 { return float64(s.LastLog) }),
	gauge("queue", "Commits that wait to be decided.", func(s *inmem.ClusterStatus) float64 { return float64(s.Queue) }),
	gauge("in_flight", "Batches decided and not yet durable.", func(s *inmem.ClusterStatus) float64 { return float64(s.InFlight) }),
	counter("conflicts_total", "Commits refused because of a conflict since the start.", func(s *inmem.ClusterStatus) float64 { return float64(s.Conflicts) }),
	counter("forwarded_total", "Commits sent on to a leader since the start.", func(s *inmem.ClusterStatus) float64 { return float64(s.Forwarded) }),
	gauge("snapshot_revision", "The revision of the newest snapshot.", func(s *inmem.ClusterStatus) float64 { return float64(s.Snapshot.Rev) }),
	gauge("snapshot_age_seconds", "How old the newest snapshot is.", func(s *inmem.ClusterStatus) float64 { return s.Snapshot.AgeS }),
	gauge("snapshot_bytes", "The size of the newest snapshot.", func(s *inmem.ClusterStatus) float64 { return float64(s.Snapshot.Bytes) }),
	gauge("fresh_seconds", "How old a stale read here may be.", func(s *inmem.ClusterStatus) float64 { return s.FreshS }),
	gauge("disk_free_bytes", "What may still be written to the disk.", func(s *inmem.ClusterStatus) float64 { return float64(s.Free) }),
	gauge("format", "The format in which the cluster writes.", func(s *inmem.ClusterStatus) float64 { return float64(s.Format) }),
	gauge("read_only", "1 if no commit is taken.", func(s *inmem.ClusterStatus) float64 { return truth(s.ReadOnly != "") }),
	gauge("failed", "1 if this node takes no part any more.", func(s *inmem.ClusterStatus) float64 { return truth(s.Failed != "") }),
	gauge("quarantined", "1 if the state of this node is not believed.", func(s *inmem.ClusterStatus) float64 { return truth(s.Quarantined != "") }),
}

var (
	info          = desc("info", "What this node is; always 1.", "node", "id", "cluster", "role", "leader")
	memberVoter   = desc("member_voter", "1 for a member with a vote, 0 for one without.", "member")
	memberLag     = desc("member_lag_entries", "How many log entries a member is behind the leader.", "member")
	memberContact = desc("member_contact_seconds", "How long ago the leader has heard of a member.", "member")
	tableRows     = desc("table_rows", "Rows of a table.", "table")
	tableBytes    = desc("table_bytes", "The size of the rows of a table.", "table")
	fsync         = desc("fsync_seconds", "How long writes of the log took.")
)

// Describe implements prometheus.Collector.
func (c Collector) Describe(out chan<- *prometheus.Desc) {
	for _, n := range numbers {
		out <- n.desc
	}
	for _, d := range []*prometheus.Desc{info, memberVoter, memberLag, memberContact, tableRows, tableBytes, fsync} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c Collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWait)
	defer cancel()
	s, err := c.Status(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(info, err)
		return
	}
	sample := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		if v >= 0 {
			out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
		}
	}
	for _, n := range numbers {
		sample(n.desc, n.kind, n.of(&s))
	}
	sample(info, prometheus.GaugeValue, 1, s.Name, s.ID, s.Cluster, string(s.Role), s.Leader)
	for _, m := range s.Members {
		sample(memberVoter, prometheus.GaugeValue, truth(m.Voter), m.Name)
		sample(memberLag, prometheus.GaugeValue, float64(m.Lag), m.Name)
		sample(memberContact, prometheus.GaugeValue, m.ContactMs/1e3, m.Name)
	}
	for _, t := range s.Tables {
		sample(tableRows, prometheus.GaugeValue, float64(t.Rows), t.Name)
		sample(tableBytes, prometheus.GaugeValue, float64(t.Bytes), t.Name)
	}
	buckets := map[float64]uint64{}
	for _, b := range s.Fsync.Buckets {
		buckets[b.UpToUs/1e6] = uint64(b.Count)
	}
	out <- prometheus.MustNewConstHistogram(fsync, uint64(s.Fsync.Count), s.Fsync.SumUs/1e6, buckets)
}
