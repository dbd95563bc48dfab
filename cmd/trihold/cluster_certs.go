package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"trihold/inmem/port"
)

func newClusterCerts(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "certs DIR NAME...",
		Short: "make certificates for the nodes of a cluster",
		Long: `certs makes a certificate authority in DIR, unless there is one, and a certificate for each
node NAME, valid for ten years, in DIR/NAME: ca.pem, node.pem and node-key.pem. Bring
each of these directories to its node, and name it in the node's URL with tls=. A node
then takes connections only from nodes with a certificate of this authority, and makes
them only to the node that it means.

DIR/ca-key.pem makes nodes: it stays where certs is run, and is kept safe. An authority of
your own will do as well, which gives each node a certificate with the node's name as
DNS name, for servers and clients.

` + exitCodes,
		Example: "  trihold cluster certs certs n1 n2 n3",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) >= 2 {
				return nil
			}
			return named("DIR", "NAME")(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error { return certs(c, args[0], args[1:], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func certs(c console, dir string, names []string, asJSON bool) error {
	var made []string
	for _, name := range names {
		if err := port.CheckName(name); err != nil {
			return err
		}
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			return &usageError{fmt.Sprintf("%s is there already, and a key in it would be lost: name another directory, or remove it", path)}
		}
		made = append(made, path)
	}
	if err := port.MakeCertificates(dir, names...); err != nil {
		return err
	}
	return printed(c, asJSON, map[string]any{"made": made}, func() error {
		for i, path := range made {
			if _, err := fmt.Fprintf(c.out, "%s: for node=%s, with tls=%s\n", path, names[i], path); err != nil {
				return err
			}
		}
		return nil
	})
}
