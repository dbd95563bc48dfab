package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"trihold/inmem"
)

func newClusterPromote(c console) *cobra.Command {
	return clusterVerb{
		use:   "promote DIR NAME",
		short: "give a member that has caught up a vote now",
		long: `promote makes the non-voter NAME a voter. A node that joins becomes one by itself once it
has caught up and been stable for a while, unless its URL says voter=0; promote is for
those, and for the impatient. A node that has not caught up is refused, because a
majority might then wait for it.`,
		example: "  trihold cluster promote data/n1 n4",
		args:    named("DIR", "NAME"),
		command: inmem.Command{Do: inmem.DoPromote},
		done:    func(_, name string) string { return name + " is a voter" },
	}.build(c)
}

func newClusterRemove(c console) *cobra.Command {
	return clusterVerb{
		use:   "remove DIR NAME",
		short: "take a member that is dead, or not wanted any more, out of the cluster",
		long: `remove takes the member NAME out of the cluster. It is for nodes that do not run any more;
one that runs is better told to leave. Its directory can not come back: to have the node
again, start it with an empty directory and join=.`,
		example: "  trihold cluster remove data/n1 n3",
		args:    named("DIR", "NAME"),
		command: inmem.Command{Do: inmem.DoRemove},
		done:    func(_, name string) string { return name + " is no member any more" },
	}.build(c)
}

func newClusterTransfer(c console) *cobra.Command {
	return clusterVerb{
		use:   "transfer DIR [NAME]",
		short: "make another voter the leader",
		long: `transfer has the leader hand over to the voter NAME, or to the one that is best prepared.
Commits wait for some milliseconds meanwhile. A node that is stopped by a signal does
this by itself.`,
		example: "  trihold cluster transfer data/n1 n2",
		args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return named("DIR")(cmd, args)
		},
		command: inmem.Command{Do: inmem.DoTransfer},
		done: func(_, name string) string {
			if name == "" {
				return "another voter leads"
			}
			return name + " leads"
		},
	}.build(c)
}

func newClusterLeave(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "leave DIR",
		Short: "take the node of this directory out of the cluster",
		Long: `leave takes the node that has DIR open out of the cluster; if it leads, it hands the lead
over first. The node then ends. Its directory can not come back: to have it in the
cluster again, empty it and join.

A node that is only to be stopped for a while is not told to leave: interrupt it.

` + exitCodes,
		Example: "  trihold cluster leave data/n3",
		Args:    named("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := memberDir(args[0])
			if err != nil {
				return err
			}
			// Its name is told before: afterwards the node ends.
			a, err := ask(cmd.Context(), dir, inmem.Command{Do: inmem.DoStatus})
			if err != nil {
				return err
			}
			if _, err := ask(cmd.Context(), dir, inmem.Command{Do: inmem.DoLeave}); err != nil {
				return err
			}
			left := map[string]string{"left": a.Status.Name, "id": a.Status.ID}
			return printed(c, asJSON, left, func() error {
				_, err := fmt.Fprintf(c.out, "%s has left the cluster; its directory %s can be removed\n", a.Status.Name, dir)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
