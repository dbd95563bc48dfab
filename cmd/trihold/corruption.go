package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"trihold/bench/fault/corruption"
	"trihold/bench/fault/simulate"
	"trihold/bench/result"
	"trihold/inmem"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

type corruptionFlags struct {
	config    corruption.Config
	reference string
	out       string
}

// A corruptible is a kind of store that can be damaged on a simulated disk.
type corruptible struct {
	name string
	open simulate.Open
}

func corruptibles() []corruptible {
	return []corruptible{{"inmem, alone", simulated().Open}, {"inmem, member", openLoneMember}}
}

// openLoneMember opens the only voter of a cluster on a simulated disk, with small files.
func openLoneMember(_ context.Context, fs vfs.FS, dir string) (driver.Store, error) {
	return inmem.Open(inmem.Config{
		Dir: dir, FS: fs, SegmentBytes: 64 << 10, SnapshotBytes: 48 << 10, Logger: slog.New(slog.DiscardHandler),
		Cluster: inmem.ClusterConfig{Node: "n1", Listen: "127.0.0.1:0", Election: 20 * time.Millisecond},
	})
}

func newFaultCorruption(c console) *cobra.Command {
	var f corruptionFlags
	cmd := &cobra.Command{
		Use:   "corruption",
		Short: "damage every part of every file of the in-memory store, thousands of times",
		Long: `corruption damages stores at rest on a simulated disk, in one place at a time: each
part of the log, of the hard state, of snapshots and of the manifest. A store must
then refuse to start, say what is damaged and what to do, or start with exactly what it
had acknowledged. The table counts, and whatever went wrong is listed below it.

` + exitCodes,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, c) },
	}
	fl := cmd.Flags()
	fl.IntVar(&f.config.Cases, "cases", 0, "how many damages at least, to each kind of store (default: 10000)")
	fl.Uint64Var(&f.config.Seed, "seed", 1, "seed of the first store")
	fl.StringVar(&f.reference, "reference", "", "show beside it what bench/reference has written to this file")
	fl.StringVarP(&f.out, "out", "o", "", "write the results to this file, as JSON")
	return cmd
}

func (f *corruptionFlags) run(cmd *cobra.Command, c console) error {
	var subjects []corruption.Subject
	for _, s := range corruptibles() {
		f.config.Open = s.open
		r, err := corruption.Run(cmd.Context(), f.config)
		if err != nil {
			return err
		}
		subjects = append(subjects, corruption.Subject{Name: s.name, Result: r})
	}
	ours := subjects
	if f.reference != "" {
		file, err := os.Open(f.reference)
		if err != nil {
			return &usageError{err.Error()}
		}
		defer file.Close() // it was only read
		reference, err := corruption.ReadReference(file)
		if err != nil {
			return fmt.Errorf("%s: %w", f.reference, err)
		}
		subjects = append(subjects, reference)
	}
	if err := corruption.Table(c.out, subjects...); err != nil {
		return fmt.Errorf("print results: %w", err)
	}
	if f.out != "" {
		text, err := json.MarshalIndent(subjects, "", "  ")
		if err != nil {
			return fmt.Errorf("results as JSON: %w", err)
		}
		if err := result.WriteFile(f.out, append(text, '\n')); err != nil {
			return err
		}
	}
	failed := false
	for _, s := range ours {
		failed = failed || !s.Result.OK()
		for _, failure := range s.Result.Failures {
			fmt.Fprintf(c.err, "%s: %s\n", s.Name, failure)
		}
	}
	if failed {
		return errReported
	}
	return nil
}
