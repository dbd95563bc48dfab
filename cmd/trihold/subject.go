package main

import (
	"os"

	"github.com/spf13/cobra"

	"trihold/bench/subject"
)

// newSubject is the verb of the processes that bench starts.
func newSubject(c console) *cobra.Command {
	return &cobra.Command{
		Use:    "subject",
		Short:  "run one store under load, told what to do on standard input",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Whatever prints by accident must not end up in the protocol.
			os.Stdout = os.Stderr
			return subject.Serve(cmd.Context(), c.in, c.out)
		},
	}
}
