package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"trihold/inmem"
	"trihold/repo"
	"trihold/repo/driver"
)

type nodeFlags struct {
	metrics string
	schema  string
	json    bool
}

func newNode(c console) *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{
		Use:   "node STORE",
		Short: "run a node of an inmem cluster as a process of its own",
		Long: `node opens a store that is a member of a cluster, and takes part until it is
interrupted. STORE is its URL, or the name of one in trihold.yaml:

  inmem:DIR?node=n1&listen=H:P                     a cluster of one: DIR is empty, holds a
                                                   store of one node, or is a member
  inmem:DIR?node=n1&listen=H:P&peers=n1@H:P,...    a new cluster of these nodes; all are
                                                   started with the same list
  inmem:DIR?node=n4&listen=H:P&join=H:P,...        DIR is empty: ask the cluster there to
                                                   take this node in

It prints what it is and who leads, whenever that changes. The node answers trihold
cluster about DIR.

What is stored says what the tables are, and a node that joins gets it from the
cluster. A new cluster needs to be told: fill DIR first, as with trihold load or
trihold import, or give --schema a file with what trihold inspect DIR --json has printed
of a store with the same tables.

The first SIGINT or SIGTERM stops the node well: it hands the lead to another voter,
stays a member, and the exit code is 0. Start it again with the same line. A node that
has left the cluster ends with 0, too; one that cannot go on, as after a failed write,
with 3.

` + exitCodes,
		Example: `  trihold node 'inmem:data/n1?node=n1&listen=127.0.0.1:7001'
  trihold node 'inmem:data/n2?node=n2&listen=127.0.0.1:7002&join=127.0.0.1:7001'`,
		Args: named("STORE"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), c, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.metrics, "metrics", "", "serve Prometheus metrics at this address, under /metrics")
	fl.StringVar(&f.schema, "schema", "", "describe the tables of a new cluster by this file")
	fl.BoolVar(&f.json, "json", false, "print a JSON object a line")
	return cmd
}

// A member is a store that is a member of a cluster.
type member interface {
	driver.Store
	ClusterStatus(ctx context.Context) (inmem.ClusterStatus, error)
}

func (f *nodeFlags) run(ctx context.Context, c console, name string) (err error) {
	url, u, err := memberURL(name)
	if err != nil {
		return err
	}
	schema, err := readSchema(f.schema)
	if err != nil {
		return err
	}
	if err := needTables(u, name, schema); err != nil {
		return err
	}
	if !f.json { // it may take long, until others are there
		fmt.Fprintf(c.out, "opening %s\n", u.Path)
	}
	m, err := openMember(ctx, url, schema)
	if err != nil {
		return stopped(ctx, err)
	}
	defer func() { err = errors.Join(err, closeMember(m, err != nil)) }()
	metrics, err := serveMetrics(f.metrics, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.close()) }()
	w := &watched{console: c, json: f.json}
	return stopped(ctx, w.watch(ctx, m, metrics))
}

// stopped makes nothing of an error that is but the end which a signal asked for.
func stopped(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errInterrupted) && (errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// memberURL returns the URL that name stands for, which must be that of a member.
func memberURL(name string) (raw string, u *driver.URL, err error) {
	raw, err = repo.Resolve(name)
	if err != nil {
		return "", nil, err
	}
	if u, err = driver.ParseURL(raw); err != nil {
		return "", nil, err
	}
	if u.Scheme != inmem.Scheme {
		return "", nil, &usageError{fmt.Sprintf("%s is no member of an inmem cluster: name one like 'inmem:data/n1?node=n1&listen=127.0.0.1:7001'", u)}
	}
	if u.Params.String("node", "") == "" {
		return "", nil, &usageError{fmt.Sprintf("%s does not say which node it is: add the parameters node and listen, as in '%s?node=n1&listen=127.0.0.1:7001'", u, u)}
	}
	return raw, u, nil
}

// readSchema reads a description of tables, alone or in what inspect prints. Without a
// path there is none.
func readSchema(path string) (*driver.Schema, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("%v: --schema takes a file that describes tables in JSON", err)}
	}
	description := text
	var inspection struct{ Schema json.RawMessage }
	if json.Unmarshal(text, &inspection) == nil && len(inspection.Schema) > 0 {
		description = inspection.Schema
	}
	s, err := driver.ParseSchema(string(description))
	if err != nil {
		return nil, &usageError{fmt.Sprintf("--schema %s: %v", path, err)}
	}
	return s, nil
}

func openMember(ctx context.Context, url string, schema *driver.Schema) (member, error) {
	s, err := driver.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := s.Prepare(ctx, schema); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	m, ok := s.(member)
	if !ok {
		return nil, errors.Join(fmt.Errorf("run a node: a %T is no member of a cluster", s), s.Close())
	}
	return m, nil
}

// needTables refuses a new cluster that nobody has told its tables, before anything is
// made.
func needTables(u *driver.URL, name string, schema *driver.Schema) error {
	if schema != nil || u.Params.String("join", "") != "" {
		return nil
	}
	entries, err := os.ReadDir(u.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &usageError{err.Error() + ": name a directory"}
	}
	if len(entries) > 0 {
		return nil
	}
	return &usageError{fmt.Sprintf("nothing is stored in %s yet, so this would be a new cluster without tables: fill it first, as with %s, or describe them with --schema FILE, or name a cluster to join with join=H:P",
		u.Path, commandLine([]string{"trihold", "load", name, "--for", "1s"}))}
}

// failedWait is how long a node that has failed may take to close.
const failedWait = 10 * time.Second

// closeMember closes a node. One that has failed may wait for a disk that never answers,
// so that is not waited for.
func closeMember(m member, failed bool) error {
	closed := make(chan error, 1)
	go func() { closed <- m.Close() }()
	var late <-chan time.Time
	if failed {
		late = time.After(failedWait)
	}
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("stop the node: %w", err)
		}
		return nil
	case <-late:
		return driver.Failed("stop the node", driver.ErrUnavailable, fmt.Errorf("it has not closed in %v, as when a disk does not answer", failedWait))
	}
}
