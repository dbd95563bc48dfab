package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// A console is where a verb reads and writes: results go to out, everything that
// is for a person alone to err.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// errInterrupted is why a context ended after a signal.
var errInterrupted = errors.New("interrupted")

// patience is how long after an interrupt a second one is taken for an echo of it:
// some programs pass a signal on that their whole group has got already.
const patience = time.Second

// run runs the program and returns its exit code. The first signal stops
// whatever is under way and cleans up; a later one ends the program at once.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel(errInterrupted)
		for first := time.Now(); ; {
			if <-signals; time.Since(first) > patience {
				os.Exit(exitInterrupted) // the kernel ends what it has started
			}
		}
	}()
	slog.SetLogLoggerLevel(slog.LevelWarn)
	root := newRoot(console{in, out, errOut})
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errReported) && !errors.As(err, new(childExit)) {
		fmt.Fprintln(errOut, "trihold: "+oneLine(err))
	}
	return exitCode(err)
}

// oneLine returns an error's text without line breaks.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func newRoot(c console) *cobra.Command {
	root := &cobra.Command{
		Use:   "trihold",
		Short: "measure, compare, move, archive and verify stores behind one repository interface",
		Long: `trihold measures, compares, moves, archives and verifies stores behind one repository
interface: objects in memory (inmem), SQLite in the program (sqlite), and rqlite in
processes of its own (rqlite).

A store is named by a URL, such as sqlite:app.db, or by its name in trihold.yaml.

` + exitCodes,
		Args:          unknownVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Sprintf("%v: see %s --help", err, cmd.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newBench(c), newCluster(c), newExport(c), newFault(c), newImport(c), newInspect(c), newLoad(c), newMigrate(c), newNDJSON(c), newNode(c), newSubject(c), newVerify(c), newVersion(c))
	return root
}

func unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{fmt.Sprintf("unknown verb %q: see %s --help", args[0], cmd.CommandPath())}
}

// noArgs refuses arguments that are not flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{fmt.Sprintf("%s takes no argument %q: see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())}
}
