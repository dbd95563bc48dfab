package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"trihold/inmem"
)

func newClusterRecover(c console) *cobra.Command {
	var lost, asJSON bool
	cmd := &cobra.Command{
		Use:   "recover DIR",
		Short: "let one survivor go on alone after the majority was lost for good",
		Long: `recover says how far the log of the member in DIR goes, which no process has open, and
changes nothing.

With --i-lost-quorum it makes that member the only one of its cluster, with a higher
epoch: the lost members are refused should they come back, and join with empty
directories. Commits that were acknowledged by members of which none has survived are
lost. So run it on one survivor only: the one whose last entry has the highest term, and
of those the highest index.

` + exitCodes,
		Example: `  trihold cluster recover data/n1
  trihold cluster recover data/n1 --i-lost-quorum`,
		Args: named("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := memberDir(args[0])
			if err != nil {
				return err
			}
			if !lost {
				return standing(c, dir, asJSON)
			}
			return recoverAlone(c, dir, asJSON)
		},
	}
	cmd.Flags().BoolVar(&lost, "i-lost-quorum", false, "go on without the others, and without what only they have")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// standing says how far a survivor's log goes, and what to do with that.
func standing(c console, dir string, asJSON bool) error {
	st, err := inmem.StandingOf(inmem.Config{Dir: dir})
	if err != nil {
		return err
	}
	if err := printed(c, asJSON, st, func() error { return printStanding(c, &st) }); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "nothing was changed; compare all survivors, and only on the one with the highest term, and of those the highest entry: %s\n",
		commandLine([]string{"trihold", "cluster", "recover", dir, "--i-lost-quorum"}))
	return nil
}

func recoverAlone(c console, dir string, asJSON bool) error {
	st, err := inmem.Recover(inmem.Config{Dir: dir})
	if err != nil {
		return err
	}
	if err := printed(c, asJSON, st, func() error { return printStanding(c, &st) }); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s is the only member now; start it with the URL that it had, and let the others join with empty directories\n", st.Node)
	return nil
}

func printStanding(c console, st *inmem.Standing) error {
	_, err := fmt.Fprintf(c.out, "node %s of cluster %s, epoch %d: the last entry is %d of term %d\n", st.ID, st.Cluster, st.Epoch, st.LastLog, st.LastTerm)
	return err
}
