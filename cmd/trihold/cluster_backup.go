package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"trihold/bench/report"
	"trihold/inmem"
	"trihold/internal/vfs"
)

func newClusterSnapshot(c console) *cobra.Command {
	return clusterVerb{
		use:   "snapshot DIR",
		short: "have a node write a snapshot now",
		long: `snapshot has the node write all rows to a snapshot file now, which it otherwise does when
its log has grown; the log that the snapshot makes superfluous is removed. Commits go
on meanwhile.`,
		example: "  trihold cluster snapshot data/n1",
		args:    named("DIR"),
		command: inmem.Command{Do: inmem.DoSnapshot},
		done:    func(node, _ string) string { return node + " has written a snapshot" },
	}.build(c)
}

func newClusterBackup(c console) *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backup DIR -o FILE",
		Short: "write all rows, at one revision, to a file",
		Long: `backup writes what the cluster holds to one file. It includes every commit that was
acknowledged before it began. Commits go on meanwhile. The file carries checksums, and
is there only when it is complete.

trihold cluster restore makes a new cluster of it.

` + exitCodes,
		Example: "  trihold cluster backup data/n1 -o app.backup",
		Args:    named("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return &usageError{"backup needs a file to write to: name it with -o"}
			}
			return backup(cmd.Context(), c, args[0], out, asJSON)
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the backup to this file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func backup(ctx context.Context, c console, arg, path string, asJSON bool) error {
	dir, err := memberDir(arg)
	if err != nil {
		return err
	}
	size, err := writeWhole(path, func(f *os.File) error { return inmem.AskBackup(ctx, dir, f) })
	if err != nil {
		return explainNobody(dir, err)
	}
	return printed(c, asJSON, map[string]any{"file": path, "bytes": size}, func() error {
		_, err := fmt.Fprintf(c.out, "backup in %s, %s; restore it with %s\n", path, report.Bytes(size),
			commandLine([]string{"trihold", "cluster", "restore", path, "DIR"}))
		return err
	})
}

func newClusterRestore(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore FILE DIR",
		Short: "make a store of a backup, from which a new cluster can grow",
		Long: `restore makes DIR, which is empty or not there, a store of one node with all that is in a
backup, at its revision. The store has another identity than the cluster that was backed
up, and cannot meddle with it. If it is interrupted, run it again.

` + exitCodes,
		Example: `  trihold cluster restore app.backup data/r1
  trihold node 'inmem:data/r1?node=r1&listen=127.0.0.1:7001'`,
		Args: named("FILE", "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return restore(cmd.Context(), c, args[0], args[1], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func restore(ctx context.Context, c console, path, dir string, asJSON bool) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return &usageError{fmt.Sprintf("%v: name a file that trihold cluster backup wrote", err)}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := inmem.RestoreBackup(ctx, vfs.OS{}, f, dir); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return printed(c, asJSON, map[string]string{"file": path, "dir": dir}, func() error {
		_, err := fmt.Fprintf(c.out, "restored into %s; open it as inmem:%s, or make it the first node of a cluster with trihold node\n", dir, dir)
		return err
	})
}
