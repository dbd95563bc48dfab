package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"trihold/bench/machine"
	"trihold/repo/driver"
)

func newVersion(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the version, the backends in this program, and what it was built from",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			version, revision := machine.Build()
			if asJSON {
				return json.NewEncoder(c.out).Encode(map[string]any{
					"version": version, "revision": revision, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
					"backends": driver.Schemes(), "modules": machine.Modules(),
				})
			}
			fmt.Fprintf(c.out, "trihold %s %s, %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			for _, scheme := range driver.Schemes() {
				fmt.Fprintf(c.out, "backend %s\n", scheme)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
