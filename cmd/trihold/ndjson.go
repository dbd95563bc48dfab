package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"trihold/bench/input"
)

func newNDJSON(c console) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "ndjson",
		Short: "turn a Debian package index on standard input into records, one JSON object a line",
		Long: `ndjson reads paragraphs of fields, as in a Debian package index (Packages), from
standard input, and writes each as a JSON object on one line, for
trihold bench --input. Values are text; a value of several lines keeps its line
breaks.

An index may hold a package in several versions. With --key, of the paragraphs with
the same value of that field only the last is written, which in a Debian index is
the newest version, and the number of the others is said on standard error.`,
		Example: `  /usr/lib/apt/apt-helper cat-file /var/lib/apt/lists/*_main_binary-amd64_Packages* | trihold ndjson --key Package > packages.ndjson
  curl -s https://deb.debian.org/debian/dists/bookworm/main/binary-amd64/Packages.xz | xz -d | trihold ndjson --key Package > packages.ndjson`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			written, left, err := input.Convert(c.out, c.in, key)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.err, "%d records written", written)
			if left > 0 {
				fmt.Fprintf(c.err, ", %d earlier ones with the same %s left out", left, key)
			}
			fmt.Fprintln(c.err)
			return nil
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "write only the last paragraph of each value of this field")
	return cmd
}
