package metrics

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"trihold/inmem"
)

func scrape(t *testing.T, s inmem.ClusterStatus, err error) (code int, text string) {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(Collector{func(context.Context) (inmem.ClusterStatus, error) { return s, err }}); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Code, w.Body.String()
}

func TestAStatusIsSampled(t *testing.T) {
	code, text := scrape(t, inmem.ClusterStatus{
		Name: "n1", ID: "n1/ab", Cluster: "cd", Role: inmem.RoleLeader, Leader: "n1", Term: 3, Rev: 1234, FreshS: -1,
		Members: []inmem.MemberStatus{{Name: "n1", Voter: true, ContactMs: -1, Lag: 0}, {Name: "n2", ContactMs: 1500, Lag: 7}},
		Tables:  []inmem.TableStatus{{Name: "runs", Rows: 5, Bytes: 500}},
		Fsync:   inmem.FsyncStatus{Count: 9, SumUs: 2e6, Buckets: []inmem.FsyncBucket{{UpToUs: 1000, Count: 8}}},
	}, nil)
	for _, want := range []string{
		`trihold_info{cluster="cd",id="n1/ab",leader="n1",node="n1",role="leader"} 1`,
		`trihold_term 3`, `trihold_revision 1234`, `trihold_leader 1`, `trihold_read_only 0`,
		`trihold_member_voter{member="n2"} 0`, `trihold_member_lag_entries{member="n2"} 7`, `trihold_member_contact_seconds{member="n2"} 1.5`,
		`trihold_table_rows{table="runs"} 5`,
		`trihold_fsync_seconds_bucket{le="0.001"} 8`, `trihold_fsync_seconds_sum 2`, `trihold_fsync_seconds_count 9`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	for _, unknown := range []string{`trihold_member_contact_seconds{member="n1"}`, "trihold_fresh_seconds "} {
		if strings.Contains(text, unknown) {
			t.Errorf("it is not known, and sampled: %s", unknown)
		}
	}
	if code != 200 || t.Failed() {
		t.Errorf("status %d: %s", code, text)
	}
}

func TestANodeWithoutAStatusFailsTheScrape(t *testing.T) {
	if code, text := scrape(t, inmem.ClusterStatus{}, errors.New("the node is closed")); code != 500 || !strings.Contains(text, "the node is closed") {
		t.Errorf("status %d: %s", code, text)
	}
}
