package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"trihold/bench/report"
	"trihold/inmem"
	"trihold/internal/vfs"
)

func newInspect(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect DIR",
		Short: "read the directory of an inmem store without opening it, and verify all of it",
		Long: `inspect reads log, vote and snapshots of a store of one node, or of a member of a cluster,
verifies every checksum, rebuilds the rows, and compares every index with them. It
changes nothing. No process should have the directory open: what it writes meanwhile
looks like damage.

Everything that is not as it should be is listed with what helps. The exit code is 4 if
anything is damaged. What a crash leaves at the end of a log is no damage.

` + exitCodes,
		Example: "  trihold inspect data/n1",
		Args:    named("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := memberDir(args[0])
			if err != nil {
				return err
			}
			return inspect(cmd.Context(), c, dir, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func inspect(ctx context.Context, c console, dir string, asJSON bool) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return &usageError{fmt.Sprintf("there is no directory %s: name that of a store", dir)}
	}
	in, err := inmem.Inspect(ctx, vfs.OS{}, dir)
	if err != nil {
		return err
	}
	if err := printed(c, asJSON, in, func() error { return printInspection(c.out, in) }); err != nil {
		return err
	}
	if slices.ContainsFunc(in.Findings, func(f inmem.Finding) bool { return !f.Harmless }) {
		return fmt.Errorf("%s: %w, as listed above with what helps", dir, errDamaged)
	}
	return nil
}

func printInspection(out io.Writer, in *inmem.Inspection) error {
	var b bytes.Buffer
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s"+format+"\n", append([]any{what}, args...)...)
	}
	if m := in.Member; m != nil {
		line("member", "%s/%s of cluster %s, epoch %d; term %d", m.Node, m.ID, in.Store, m.Epoch, m.Term)
	} else if in.Store != "" {
		line("store", "%s, of a single node", in.Store)
	}
	if in.InUse != "" {
		line("in use", "by %s: what it writes meanwhile may look like damage", in.InUse)
	}
	for _, s := range in.Log {
		line("log", "%s: %s, %s%s", s.File, entries(s), report.Bytes(s.Bytes), wholeness(s.Whole))
	}
	for _, s := range in.Snapshots {
		line("snapshot", "%s: revision %s, entry %d, %s%s", s.File, count(int64(s.Rev)), s.Index, report.Bytes(s.Bytes), wholeness(s.Whole))
	}
	if in.Content != nil {
		line("content", "revision %s, up to entry %d, digest %s", count(int64(in.Content.Rev)), in.Content.LastIndex, in.Content.Sum)
		for _, t := range in.Content.Tables {
			line("table", "%s: %s rows, digest %s", t.Table, count(t.Rows), t.Sum)
		}
	}
	damage := false
	for _, f := range in.Findings {
		what := "DAMAGE"
		if f.Harmless {
			what = "note"
		} else {
			damage = true
		}
		line(what, "%s%s", place(f), f.Problem)
		line("", "remedy: %s", f.Remedy)
	}
	if !damage {
		line("whole", "every checksum is right, and every index has the rows of its table")
	}
	_, err := out.Write(b.Bytes())
	return err
}

func entries(s inmem.InspectedSegment) string {
	switch {
	case s.Void:
		return "taken back, another file has its place"
	case s.Entries == 0:
		return "no entries"
	}
	return fmt.Sprintf("entries %d to %d", s.First, s.Last)
}

func wholeness(whole bool) string {
	if whole {
		return ""
	}
	return ", NOT WHOLE"
}

// place says where a finding is.
func place(f inmem.Finding) string {
	switch {
	case f.File == "":
		return ""
	case f.Offset < 0:
		return f.File + ": "
	}
	return fmt.Sprintf("%s, at %d: ", f.File, f.Offset)
}
