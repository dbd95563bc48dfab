package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"trihold/repo/migrate"
)

type migrateFlags struct {
	to          string
	options     migrate.Options
	wait        bool
	watch       bool
	certificate string
	json        bool
}

// A migrateVerb is a verb below migrate.
type migrateVerb struct {
	do    migrate.Verb
	short string
	long  string
	flags []string
	run   func(*migration, context.Context) error
}

var migrateVerbs = []migrateVerb{
	{migrate.DoPlan, "say what a migration would move, need and lose, without beginning it",
		`plan reads every row of the source, and opens the target, but writes nothing into it.
It lists all that speaks against the migration, and exits with 2 if anything does.`,
		[]string{"to", "accept-class"}, (*migration).plan},
	{migrate.DoStart, "begin to copy rows, and to follow commits",
		`start makes the plan, and begins if nothing speaks against it. The source stays as it
is, and remains the store that the program uses.`,
		[]string{"to", "accept-class", "rows-per-second", "max-p99", "wait"}, (*migration).start},
	{migrate.DoStatus, "say how far the migration is", "", []string{"watch"}, (*migration).status},
	{migrate.DoPause, "stop copying; commits are followed meanwhile", "", nil, (*migration).pause},
	{migrate.DoResume, "go on copying, with other limits if any are given",
		`resume goes on with a migration that was paused. If no program has the store open, it
goes on with one that rests, until all rows are copied.`,
		[]string{"rows-per-second", "max-p99", "wait"}, (*migration).start},
	{migrate.DoVerify, "compare both sides row by row while commits go on",
		`verify reads both sides from end to end, each range at one and the same revision. What
is written later is compared as it arrives. It exits with 1 if rows differ.`,
		[]string{"repair"}, (*migration).verify},
	{migrate.DoCutover, "make the target the store that the program uses",
		`cutover holds the program's writes, brings what is missing over, compares the digests
of both sides, and lets the writes go on in the target. Afterwards the source follows
the target. If it takes longer than --max-pause, it is undone.`,
		[]string{"max-pause", "certificate"}, (*migration).cutover},
	{migrate.DoRollback, "keep the source as the store that the program uses, or make it that again",
		`rollback is a cutover backwards, with all that was written meanwhile. Before the
cutover it gives the migration up. Either way that is its end.`,
		[]string{"max-pause", "certificate"}, (*migration).rollback},
	{migrate.DoComplete, "end the migration after the cutover; nothing is deleted", "", []string{"certificate"}, (*migration).ask},
}

func newMigrate(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "move a store to another backend while a program uses it",
		Long: `migrate moves a store from one backend to another, proves that nothing was lost, and
moves it back if that is wanted.

STORE is the store as the program opens it: a URL such as
live:inmem:data?admin=app.sock, or a name in trihold.yaml that stands for one. The
command goes to the program that has it open, over the socket that admin names; paths,
and names in trihold.yaml, are understood there. If no program listens, the command is
carried out by this one, which opens the stores for that long. An interrupt leaves
everything so that it can go on.

The order is plan, start, verify, cutover, and then complete or rollback.

` + exitCodes,
		Args: unknownVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, v := range migrateVerbs {
		cmd.AddCommand(v.command(c))
	}
	cmd.AddCommand(newMigrateDemo(c))
	return cmd
}

func (v migrateVerb) command(c console) *cobra.Command {
	var f migrateFlags
	long := v.long
	if long == "" {
		long = v.short + "."
	}
	cmd := &cobra.Command{
		Use:   string(v.do) + " STORE",
		Short: v.short,
		Long:  long + "\n\n" + exitCodes,
		Args:  named("STORE"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o, err := newOperator(args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, o.close()) }()
			m := &migration{operator: o, console: c, verb: v.do, flags: f, progress: newProgress(c.err)}
			defer m.progress.clear()
			return v.run(m, cmd.Context())
		},
	}
	for _, name := range v.flags {
		f.define(cmd, name)
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

// define adds the flag with a name.
func (f *migrateFlags) define(cmd *cobra.Command, name string) {
	fl := cmd.Flags()
	switch name {
	case "to":
		fl.StringVar(&f.to, name, "", "the target: a URL, or a name in trihold.yaml; there must be nothing yet")
	case "accept-class":
		fl.BoolVar(&f.options.AcceptClass, name, false, "allow a target that survives less than the source")
	case "rows-per-second":
		fl.IntVar(&f.options.RowsPerSecond, name, 0, "copy so many rows a second at most (default: no limit)")
	case "max-p99":
		fl.DurationVar(&f.options.MaxP99, name, 0, "rest while more than one in a hundred of the program's commits takes longer (default: no limit)")
	case "max-pause":
		fl.DurationVar(&f.options.MaxPause, name, time.Second, "undo the cutover if writes would wait longer")
	case "repair":
		fl.BoolVar(&f.options.Repair, name, false, "copy rows that differ once more")
	case "wait":
		fl.BoolVar(&f.wait, name, false, "wait until all rows are copied")
	case "watch":
		fl.BoolVar(&f.watch, name, false, "print the status every second until the migration is over")
	case "certificate":
		fl.StringVar(&f.certificate, name, "", "write the certificate, as JSON, to this file")
	default:
		panic(fmt.Sprintf("no flag is called %s", name))
	}
}
