package rqlitebackend

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trihold/repo/driver"
)

// A lossy stands between a store and rqlite. As long as lose is positive, it
// passes requests that write on, waits for the answer, and hangs up instead of
// passing it back.
type lossy struct {
	host  string
	lose  atomic.Int64
	drop  bool // it hangs up before it passes the request on
	wrote atomic.Int64
}

func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", l.host, ""
	writes := r.URL.Path == executeAtomic.path
	if writes {
		l.wrote.Add(1)
	}
	lose := writes && l.lose.Add(-1) >= 0
	if lose && l.drop {
		panic(http.ErrAbortHandler)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || lose {
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(body)
}

// openLossy opens a store behind a lossy.
func openLossy(t *testing.T) (*Store, *lossy) {
	t.Helper()
	direct := openBank(t)
	host, _ := direct.client.peers.now()
	l := &lossy{host: host}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	s, err := Open(t.Context(), Config{Hosts: []string{strings.TrimPrefix(server.URL, "http://")}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Prepare(t.Context(), bankSchema.Driver()); err != nil {
		t.Fatal(err)
	}
	return s, l
}

func TestACommitWhoseAnswerIsLostIsAppliedOnce(t *testing.T) {
	s, l := openLossy(t)
	for _, c := range []struct {
		name string
		drop bool
	}{{"answer lost", false}, {"request lost", true}} {
		base := latest(t, s)
		l.drop = c.drop
		l.lose.Store(3)
		rev := mustCommit(t, s, accountWrite(driver.Insert, c.name, c.name))
		if rev != base+1 || latest(t, s) != base+1 {
			t.Errorf("%s: revision %d, and the store is at %d; want %d", c.name, rev, latest(t, s), base+1)
		}
	}
}

func TestARefusalWhoseAnswerIsLostIsStillARefusal(t *testing.T) {
	s, l := openLossy(t)
	mustCommit(t, s, accountWrite(driver.Insert, "a", "a@x"))
	l.lose.Store(2)
	c := pend(nil, accountWrite(driver.Insert, "a", "a@x")).commit
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, driver.ErrExists) {
		t.Errorf("got %v, want ErrExists", err)
	}
}

func TestCommitsWhoseSharedAnswerIsLostAreAppliedOnce(t *testing.T) {
	s, l := openLossy(t)
	mustCommit(t, s, accountWrite(driver.Insert, "taken", "taken@x"))
	base := latest(t, s)
	for _, apart := range []bool{false, true} {
		name := map[bool]string{false: "together", true: "apart"}[apart]
		batch := []*pending{
			pend(nil, accountWrite(driver.Insert, name+"1", name+"1")),
			pend(nil, accountWrite(driver.Insert, "taken", "other")),
			pend(nil, accountWrite(driver.Insert, name+"2", name+"2")),
		}
		l.lose.Store(2)
		outcomes := s.commits.execute(t.Context(), apart, batch...)
		if outcomes[0].err != nil || outcomes[2].err != nil || !errors.Is(outcomes[1].err, driver.ErrExists) {
			t.Errorf("%s: got %v", name, outcomes)
		}
		for _, i := range []int{0, 2} {
			w := batch[i].commit.Writes[0]
			if rev := rowRev(t, s, w.Table, w.Key); rev != outcomes[i].rev || rev <= base {
				t.Errorf("%s: row %d has revision %d, the commit was answered %d", name, i, rev, outcomes[i].rev)
			}
		}
	}
}

func TestAnUnreachableRqliteIsUnavailableAndNotUncertain(t *testing.T) {
	s := openBank(t)
	host, _ := s.client.peers.now()
	external, err := Open(t.Context(), Config{Hosts: []string{host}, Patience: 2 * time.Second, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer external.Close()
	if err := external.Prepare(t.Context(), bankSchema.Driver()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	external.client.transport.CloseIdleConnections()
	began := time.Now()
	_, err = external.Commit(t.Context(), pend(nil, accountWrite(driver.Insert, "a", "a")).commit)
	refusedWith(t, "commit", err, driver.ErrUnavailable, host)
	if errors.Is(err, driver.ErrUncertain) {
		t.Errorf("nothing was sent, and it is uncertain: %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v with a patience of 2 s", took)
	}
	_, err = external.Status(t.Context())
	refusedWith(t, "status", err, driver.ErrUnavailable, host)
}

func TestConcurrentCommitsShareRequests(t *testing.T) {
	s, l := openLossy(t)
	before := l.wrote.Load()
	const commits = 400
	done := make(chan error)
	for i := range commits {
		go func() {
			id := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
			_, err := s.Commit(t.Context(), pend(absent(id), accountWrite(driver.Insert, id, id)).commit)
			done <- err
		}()
	}
	for range commits {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if requests := l.wrote.Load() - before; requests > commits/8 {
		t.Errorf("%d commits took %d requests", commits, requests)
	}
}

// What SQLite could not execute for want of space is executed when rqlite starts
// again. Whether the error is about a statement or about the whole request, nothing
// may be acknowledged on top of it before that.
func TestTroubleWithAWholeRequestIsToldBeforeItIsSentAgain(t *testing.T) {
	var sent atomic.Int64
	var told atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if sent.Add(1) == 1 {
			_, _ = io.WriteString(w, `{"results":[{"last_insert_id":1}],"error":"database or disk is full"}`)
			return
		}
		if told.Load() == nil {
			t.Error("the request is sent again, and nobody knows of the trouble")
		}
		_, _ = io.WriteString(w, `{"results":[{"last_insert_id":1}]}`)
	}))
	defer server.Close()
	c := newClient(t.Context(), newPeers(strings.TrimPrefix(server.URL, "http://")), "", "", time.Minute)
	c.troubled = func(message string) { told.Store(message) }
	a, resent, err := c.do(t.Context(), &request{route: executeAtomic, body: []byte(`[]`)})
	if err != nil || !resent || len(a.results) != 1 || sent.Load() != 2 {
		t.Errorf("got %v, sent again: %v, %v; %d requests", a, resent, err, sent.Load())
	}
}
