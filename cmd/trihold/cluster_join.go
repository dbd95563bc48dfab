package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"trihold/inmem"
)

type joinFlags struct {
	node, listen, advertise, tls string
	to                           []string
	json                         bool
}

func newClusterJoin(c console) *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join DIR --node NAME --listen H:P --to H:P",
		Short: "prepare an empty directory for a node that is to join",
		Long: `join asks the cluster at --to what it is, and makes DIR, which is empty or not there, the
directory of the node NAME. When trihold node then opens it, the node asks to be taken
in, gets all rows, and later a vote. A node whose URL has join= needs no preparation.

` + exitCodes,
		Example: `  trihold cluster join data/n4 --node n4 --listen 127.0.0.1:7004 --to 127.0.0.1:7001
  trihold node 'inmem:data/n4?node=n4&listen=127.0.0.1:7004'`,
		Args: named("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), c, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.node, "node", "", "the name of the node")
	fl.StringVar(&f.listen, "listen", "", "where it will listen")
	fl.StringVar(&f.advertise, "advertise", "", "what others dial, where that differs")
	fl.StringVar(&f.tls, "tls", "", "the directory with its certificate, if the cluster uses TLS")
	fl.StringSliceVar(&f.to, "to", nil, "where a member of the cluster listens; may be given several times")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

func (f *joinFlags) run(ctx context.Context, c console, dir string) error {
	for _, needed := range []struct {
		flag  string
		given bool
	}{{"--node", f.node != ""}, {"--listen", f.listen != ""}, {"--to", len(f.to) > 0}} {
		if !needed.given {
			return &usageError{fmt.Sprintf("join needs %s: see trihold cluster join --help", needed.flag)}
		}
	}
	config := inmem.Config{Dir: dir, Cluster: inmem.ClusterConfig{Node: f.node, Listen: f.listen, Advertise: f.advertise, TLS: f.tls, Join: f.to}}
	if err := inmem.PrepareJoin(ctx, config); err != nil {
		return err
	}
	store := f.url(dir)
	return printed(c, f.json, map[string]string{"dir": dir, "node": f.node, "store": store}, func() error {
		_, err := fmt.Fprintf(c.out, "%s is for node %s; start it with %s\n", dir, f.node, commandLine([]string{"trihold", "node", store}))
		return err
	})
}

// url returns the URL of the store that was prepared.
func (f *joinFlags) url(dir string) string {
	s := "inmem:" + dir + "?node=" + f.node + "&listen=" + f.listen
	for _, p := range []struct{ name, value string }{{"advertise", f.advertise}, {"tls", f.tls}} {
		if p.value != "" {
			s += "&" + p.name + "=" + strings.ReplaceAll(url.QueryEscape(p.value), "%2F", "/")
		}
	}
	return s
}
