package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"trihold/bench/report"
	"trihold/repo"
	"trihold/repo/archive"
	"trihold/repo/driver"
)

func newVerify(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify FILE|STORE [FILE|STORE]",
		Short: "check an archive or a store and print its digest, or compare two of them",
		Long: `verify reads an archive or a store from end to end and prints its revision, and of
each table the number of rows and the digest. Of an archive every byte is checked.
What is the name of a file is taken for an archive, everything else for a store.

With two arguments their tables are compared: equal digests are equal rows, whatever
the backends. Of an archive of some tables only those are compared. If anything
differs, the exit code is 1.

` + exitCodes,
		Example: `  trihold verify app.trihold
  trihold verify app.trihold sqlite:app.db
  trihold verify inmem:data rqlite://db1:4001,db2:4001`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return named("FILE|STORE")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return verify(cmd.Context(), c, args, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A holder is an archive or a store that has been verified.
type holder struct {
	Name    string        `json:"name"`
	Archive bool          `json:"archive"`
	Backend string        `json:"backend"`
	Class   driver.Class  `json:"class"`
	Fence   *driver.Fence `json:"fence,omitempty"`
	Content repo.Digest   `json:"content"`
	partial bool          // it does not have all tables of its schema
}

func verify(ctx context.Context, c console, names []string, asJSON bool) error {
	var all []holder
	for _, name := range names {
		m := newMeter(c)
		h, err := hold(ctx, name, m)
		m.progress.clear()
		if err != nil {
			return reportDamage(c, h, err)
		}
		all = append(all, h)
	}
	var differ []string
	if len(all) == 2 {
		differ = differences(all[0], all[1])
	}
	if err := printHolders(c.out, all, differ, asJSON); err != nil {
		return err
	}
	if len(differ) == 0 {
		return nil
	}
	fmt.Fprintf(c.err, "trihold: %s and %s differ in: %s\n", all[0].Name, all[1].Name, strings.Join(differ, ", "))
	return errReported
}

// reportDamage makes a damaged archive a verification that failed, not a mistake.
func reportDamage(c console, h holder, err error) error {
	if !h.Archive || !errors.Is(err, driver.ErrCorrupt) {
		return err
	}
	fmt.Fprintln(c.err, "trihold: "+oneLine(err))
	return errReported
}

func hold(ctx context.Context, name string, m *meter) (holder, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return holdArchive(ctx, name, m)
	}
	return holdStore(ctx, name, m)
}

func holdArchive(ctx context.Context, path string, m *meter) (h holder, err error) {
	h = holder{Name: path, Archive: true}
	f, size, err := openArchive(path)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, err := archive.Verify(ctx, m.counted(f, size), m.show)
	if err != nil {
		return h, fmt.Errorf("%s: %w", path, err)
	}
	h.Backend, h.Class, h.Content = r.Header.Backend, r.Header.Class, r.Content
	h.partial = len(r.Header.Tables) < len(r.Schema.Tables)
	return h, nil
}

func holdStore(ctx context.Context, name string, m *meter) (h holder, err error) {
	h = holder{Name: shown(name)}
	store, err := openStored(ctx, name)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	status, err := store.Status(ctx)
	if err != nil {
		return h, fmt.Errorf("%s: %w", h.Name, err)
	}
	h.Backend, h.Class = status.Backend, status.Class
	if h.Content, err = archive.Content(ctx, store, nil, m.show); err == nil {
		h.Fence, err = archive.Fence(ctx, store, status.Schema)
	}
	if err != nil {
		return h, fmt.Errorf("%s: %w", h.Name, err)
	}
	return h, nil
}

// differences returns the names of the tables in which two holders differ.
func differences(a, b holder) []string {
	var names []string
	compared := 0
	of := func(h holder) map[string]repo.TableDigest {
		tables := map[string]repo.TableDigest{}
		for _, t := range h.Content.Tables {
			tables[t.Table] = t
			if !slices.Contains(names, t.Table) {
				names = append(names, t.Table)
			}
		}
		return tables
	}
	inA, inB := of(a), of(b)
	var differ []string
	for _, name := range names {
		x, hasA := inA[name]
		y, hasB := inB[name]
		if !hasA && a.partial || !hasB && b.partial {
			continue
		}
		if compared++; x != y {
			differ = append(differ, name)
		}
	}
	if compared == 0 && len(names) > 0 {
		return names // they have no table in common
	}
	return differ
}

func printHolders(out io.Writer, all []holder, differ []string, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"verified": all, "differ": append([]string{}, differ...)})
	}
	for _, h := range all {
		kind := "store of " + h.Backend
		if h.Archive {
			kind = "archive of " + h.Backend
		}
		fmt.Fprintf(out, "%s: %s/%s\n", h.Name, kind, h.Class)
		switch f := h.Fence; {
		case f != nil && f.By == archive.By:
			fmt.Fprintln(out, "its import has not ended: run the same trihold import again")
		case f != nil:
			fmt.Fprintf(out, "it is fenced: %v\n", f.Moved("commit"))
		}
		if err := printContent(out, h.Content); err != nil {
			return err
		}
	}
	if len(all) == 2 && len(differ) == 0 {
		fmt.Fprintln(out, "equal")
	}
	return nil
}

// printContent prints a digest for a person.
func printContent(out io.Writer, d repo.Digest) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var rows int64
	for _, table := range d.Tables {
		rows += table.Rows
		fmt.Fprintf(t, "%s\t%s rows\t%s\n", table.Table, report.Count(float64(table.Rows)), table.Sum)
	}
	fmt.Fprintf(t, "all, at revision %d\t%s rows\t%s\n", d.Rev, report.Count(float64(rows)), d.Sum)
	return t.Flush()
}
