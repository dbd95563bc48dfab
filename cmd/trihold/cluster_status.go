package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trihold/bench/report"
	"trihold/inmem"
)

func newClusterStatus(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status DIR",
		Short: "say what a node is, who leads, and who is behind",
		Long: `status says what the node of DIR knows of itself and of its cluster. It answers also
without a leader. How far members are behind, and when they were heard of, only the
leader knows. What each line means: docs/cluster.md.

` + exitCodes,
		Example: "  trihold cluster status data/n1",
		Args:    named("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := memberDir(args[0])
			if err != nil {
				return err
			}
			a, err := ask(cmd.Context(), dir, inmem.Command{Do: inmem.DoStatus})
			if err != nil {
				return err
			}
			return printed(c, asJSON, a.Status, func() error { return printClusterStatus(c.out, a.Status) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printClusterStatus(out io.Writer, s *inmem.ClusterStatus) error {
	var b bytes.Buffer
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s"+format+"\n", append([]any{what}, args...)...)
	}
	line("cluster", "%s, epoch %d, format %d (this node reads up to %d)", s.Cluster, s.Epoch, s.Format, s.Readable)
	line("node", "%s at %s", s.ID, s.Address)
	line("is", "%s", roleLine(s))
	line("state", "revision %s; %d of %d entries applied, %d to %d in the log", count(s.Rev), s.Applied, s.Commit, s.FirstLog, s.LastLog)
	if s.StateHash != "" {
		line("hash", "%s after entry %d", s.StateHash, s.StateHashIndex)
	}
	if s.FreshS >= 0 {
		line("stale", "a stale read is at most %s old", report.Duration(ofSeconds(s.FreshS)))
	}
	line("commits", "%s waiting, %d batches in flight, %s conflicts, %s forwarded", count(int64(s.Queue)), s.InFlight, count(s.Conflicts), count(s.Forwarded))
	if s.Fsync.Count > 0 {
		line("fsync", "%s times, p50 %s, p99 %s, max %s", count(s.Fsync.Count), micros(s.Fsync.P50Us), micros(s.Fsync.P99Us), micros(s.Fsync.MaxUs))
	}
	if s.Snapshot.Index > 0 {
		age := ""
		if s.Snapshot.AgeS >= 0 {
			age = fmt.Sprintf(", %v old", seconds(s.Snapshot.AgeS))
		}
		line("snapshot", "revision %s, %s%s", count(s.Snapshot.Rev), report.Bytes(s.Snapshot.Bytes), age)
	} else {
		line("snapshot", "none yet")
	}
	if s.Free >= 0 {
		line("disk", "%s free", report.Bytes(s.Free))
	}
	for _, t := range s.Tables {
		line("table", "%s: %s rows, %s", t.Name, count(t.Rows), report.Bytes(t.Bytes))
	}
	for _, t := range troubles(s) {
		line("TROUBLE", "%s", t)
	}
	printMembers(&b, s.Members)
	_, err := out.Write(b.Bytes())
	return err
}

func printMembers(out io.Writer, members []inmem.MemberStatus) {
	members = slices.SortedFunc(slices.Values(members), func(a, b inmem.MemberStatus) int { return cmp.Compare(a.Name, b.Name) })
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nMEMBER\tADDRESS\tIS\tBEHIND\tHEARD OF")
	for _, m := range members {
		is := "voter"
		switch {
		case m.Leader:
			is = "leader"
		case !m.Voter:
			is = "non-voter"
		}
		if m.Self {
			is += ", this node"
		}
		behind, heard := "-", "-"
		if m.Lag >= 0 {
			behind = fmt.Sprintf("%s entries", count(m.Lag))
		}
		if m.ContactMs >= 0 && !m.Self {
			heard = report.Duration(ofSeconds(m.ContactMs/1e3)) + " ago"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Name, m.Address, is, behind, heard)
	}
	_ = t.Flush() // to a buffer
}

func ofSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func micros(us float64) string { return report.Duration(ofSeconds(us / 1e6)) }
