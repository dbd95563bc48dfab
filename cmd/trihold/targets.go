package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"trihold/bench/fault"
	"trihold/bench/subject"
	"trihold/bench/targets"
)

func newTargets(c console) *cobra.Command {
	var config targets.Config
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "targets",
		Short: "measure the figures that this project wants to reach",
		Long: `targets measures each figure and what it is measured against in the same run, in
rounds that alternate, and prints the target, what was reached and the reference.
A figure is reached, missed, or not built yet; all are listed. A missed target is
not a failure of the command.

Bare Raft and etcd are measured by the program reference beside this one, which
make bin/reference builds.

` + exitCodes,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			config.Subject = subject.Command{Path: exe, Args: []string{"subject"}}
			config.Reference = filepath.Join(filepath.Dir(exe), "reference")
			config.Fault = fault.Config{Node: nodeOf(exe), Simulated: simulated()}
			shown := newProgress(c.err)
			config.Progress = shown.show
			rows, err := targets.Run(cmd.Context(), config)
			shown.clear()
			if err != nil {
				return err
			}
			if !asJSON {
				return targets.Text(c.out, rows)
			}
			enc := json.NewEncoder(c.out)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", " ")
			return enc.Encode(rows)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&config.Backend, "backend", "", "only the figures of one of: "+strings.Join(targets.Backends(), ", "))
	fl.IntVar(&config.Rounds, "rounds", 0, "rounds (default: 5)")
	fl.DurationVar(&config.Duration, "duration", 0, "how long throughput is measured in a round (default: 500ms)")
	fl.Int64Var(&config.Rows, "rows", 0, "rows of the large store (default: 1,000,000, which is what the targets are for)")
	fl.StringVar(&config.Dir, "dir", "", "where the directories of the stores are made (default: that of temporary files)")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
