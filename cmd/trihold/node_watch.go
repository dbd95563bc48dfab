package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"trihold/inmem"
	"trihold/repo/driver"
)

// watchEvery is how often a node looks at itself, to tell of changes.
const watchEvery = 200 * time.Millisecond

// A watched is what a person, or a program, has been told of a node.
type watched struct {
	console console
	json    bool
	last    string
	// outside is since when the node knows its cluster and is no member of it; zero if it
	// is one. told is that this was said.
	outside time.Time
	told    bool
}

// joinWait is how long a node may be outside of its cluster before it is said: one that
// joins is, at first.
const joinWait = 10 * time.Second

// warnOutside says once that the node was removed, which it may not know otherwise: the
// members do not talk to it.
func (w *watched) warnOutside(s *inmem.ClusterStatus) {
	switch {
	case len(s.Members) == 0 || slices.ContainsFunc(s.Members, func(m inmem.MemberStatus) bool { return m.Self }):
		w.outside, w.told = time.Time{}, false
	case w.outside.IsZero():
		w.outside = time.Now()
	case !w.told && time.Since(w.outside) > joinWait:
		w.told = true
		fmt.Fprintf(w.console.err, "%s is no member of its cluster any more; to have it there again, let it join with an empty directory\n", s.Name)
	}
}

// watch tells of every change of a node until it ends, or ctx does.
func (w *watched) watch(ctx context.Context, m member, metrics *metricsServer) error {
	for {
		s, err := m.ClusterStatus(ctx)
		if err != nil {
			return err
		}
		if err := w.tell(&s); err != nil {
			return err
		}
		w.warnOutside(&s)
		if s.Role == inmem.RoleStopped {
			return w.ended(&s)
		}
		select {
		case <-time.After(watchEvery):
		case err := <-metrics.ended:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ended returns why a node that takes no part any more has stopped; nothing if it was
// told to leave.
func (w *watched) ended(s *inmem.ClusterStatus) error {
	if !s.Left {
		why := cmp.Or(s.Failed, s.Quarantined, "Raft has ended")
		return driver.Failed("run node "+s.Name, driver.ErrUnavailable, errors.New(why))
	}
	if !w.json {
		fmt.Fprintf(w.console.err, "%s has left the cluster; its directory can be removed\n", s.Name)
	}
	return nil
}

// tell prints a status if something has changed that a line is worth.
func (w *watched) tell(s *inmem.ClusterStatus) error {
	line := nodeLine(s)
	if line == w.last {
		return nil
	}
	first := w.last == ""
	w.last = line
	if w.json {
		return json.NewEncoder(w.console.out).Encode(s)
	}
	if first {
		if _, err := fmt.Fprintf(w.console.out, "node %s of cluster %s, epoch %d, at %s\n", s.ID, s.Cluster, s.Epoch, s.Address); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	if _, err := fmt.Fprintf(w.console.out, "%s %s\n", time.Now().UTC().Format(time.RFC3339), line); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// nodeLine says what a node is in one line.
func nodeLine(s *inmem.ClusterStatus) string {
	parts := []string{roleLine(s)}
	var names []string // none while a node that joins has heard nothing yet
	for _, m := range s.Members {
		name := m.Name
		if !m.Voter {
			name += " (non-voter)"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) > 0 {
		parts = append(parts, "members "+strings.Join(names, ", "))
	}
	return strings.Join(append(parts, troubles(s)...), "; ")
}

// roleLine says what a node is, and who leads.
func roleLine(s *inmem.ClusterStatus) string {
	line := fmt.Sprintf("%s is %s in term %d", s.Name, s.Role, s.Term)
	switch {
	case s.Role == inmem.RoleLeader || s.Role == inmem.RoleStopped:
	case s.Leader == "":
		line += ", no leader is known"
	case s.LeaderAddress == "":
		line += fmt.Sprintf(", %s leads", s.Leader)
	default:
		line += fmt.Sprintf(", %s leads at %s", s.Leader, s.LeaderAddress)
	}
	return line
}

// troubles are the reasons why a node does less than it should.
func troubles(s *inmem.ClusterStatus) []string {
	var all []string
	for _, t := range []struct{ what, why string }{{"read-only", s.ReadOnly}, {"failed", s.Failed}, {"quarantined", s.Quarantined}} {
		if t.why != "" {
			all = append(all, t.what+": "+t.why)
		}
	}
	return all
}
