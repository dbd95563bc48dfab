package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"trihold/inmem"
	"trihold/repo"
	"trihold/repo/driver"
)

func newCluster(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "look at an inmem cluster, and change, back up and repair it",
		Long: `cluster looks at a cluster of inmem nodes and changes it.

DIR is the directory of a member on this machine, or the URL of its store, or its name
in trihold.yaml. The command goes to the process that has it open, over DIR/admin.sock,
which only the user can use as whom that process runs. Any member can be asked; what is
the leader's to do is sent on to it.

join, recover, restore and certs are for directories that no process has open.

` + exitCodes,
		Args: unknownVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newClusterStatus(c), newClusterPromote(c), newClusterRemove(c), newClusterLeave(c), newClusterTransfer(c),
		newClusterJoin(c), newClusterSnapshot(c), newClusterBackup(c), newClusterRestore(c), newClusterRecover(c), newClusterCerts(c))
	return cmd
}

// A clusterVerb is a verb below cluster that asks a running node for one thing.
type clusterVerb struct {
	use     string
	short   string
	long    string
	example string
	args    cobra.PositionalArgs
	command inmem.Command // but for the name
	// done says what has been done, when asked for with that name.
	done func(node, name string) string
}

func (v clusterVerb) build(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     v.use,
		Short:   v.short,
		Long:    v.long + "\n\n" + exitCodes,
		Example: v.example,
		Args:    v.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := memberDir(args[0])
			if err != nil {
				return err
			}
			command := v.command
			if len(args) > 1 {
				command.Name = args[1]
			}
			s, err := askAbout(cmd.Context(), dir, command)
			if err != nil {
				return err
			}
			return printed(c, asJSON, s, func() error {
				_, err := fmt.Fprintln(c.out, v.done(s.Name, command.Name))
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the status afterwards as JSON")
	return cmd
}

// askAbout has a node carry out a command, and returns its status afterwards.
func askAbout(ctx context.Context, dir string, command inmem.Command) (*inmem.ClusterStatus, error) {
	a, err := ask(ctx, dir, command)
	if err != nil || a.Status != nil {
		return a.Status, err
	}
	a, err = ask(ctx, dir, inmem.Command{Do: inmem.DoStatus})
	if err != nil {
		return nil, fmt.Errorf("%s is done; look at the cluster again: %w", command.Do, err)
	}
	return a.Status, nil
}

// ask has the node of a directory carry out a command.
func ask(ctx context.Context, dir string, command inmem.Command) (inmem.Answer, error) {
	a, err := inmem.Ask(ctx, dir, command)
	return a, explainNobody(dir, err)
}

// explainNobody adds to the error of a directory that no process has open what can be
// done.
func explainNobody(dir string, err error) error {
	if !errors.Is(err, inmem.ErrNobody) {
		return err
	}
	if _, statErr := os.Stat(dir); errors.Is(statErr, os.ErrNotExist) {
		return &usageError{fmt.Sprintf("there is no directory %s: name that of a member on this machine", dir)}
	}
	return fmt.Errorf("%w: start it with %s, or ask another member", err,
		commandLine([]string{"trihold", "node", "inmem:" + dir + "?node=…&listen=…"}))
}

// memberDir returns the directory that an argument stands for: itself, or that of a
// store by URL or by name.
func memberDir(arg string) (string, error) {
	if info, err := os.Stat(arg); err == nil && info.IsDir() {
		return filepath.Clean(arg), nil
	}
	url, err := repo.Resolve(arg)
	if err != nil {
		return "", &usageError{fmt.Sprintf("%s is no directory, and no store: name the directory of a member, or its store", arg)}
	}
	u, err := driver.ParseURL(url)
	if err != nil {
		return "", err
	}
	if u.Scheme != inmem.Scheme || u.Path == "" {
		return "", &usageError{fmt.Sprintf("%s is no member of an inmem cluster: name the directory of one", u)}
	}
	return filepath.Clean(u.Path), nil
}

// printed prints something as JSON, or as text.
func printed(c console, asJSON bool, v any, text func() error) error {
	print := text
	if asJSON {
		print = func() error { return json.NewEncoder(c.out).Encode(v) }
	}
	if err := print(); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}
