package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"trihold/bench/fault"
	"trihold/bench/fault/node"
	"trihold/bench/fault/syscalls"
	"trihold/bench/report"
	"trihold/bench/result"
	"trihold/inmem"
)

type faultFlags struct {
	config fault.Config
	list   bool
	out    string
	json   bool
}

func newFault(c console) *cobra.Command {
	var f faultFlags
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "break stores: the same seeded faults on each, with a verdict",
		Long: `fault breaks each store in the same ways, under the same traffic, and checks all that
was answered against all that is left. A cell is one fault on one store, in fresh
processes and directories. Controls break a promise on purpose, and must be found out.

Stores are backends or subjects, such as sqlite/replica; --list names them, and the
faults. What the machine or the user's privilege does not allow is skipped, with the
reason.

What is left of a bad cell is kept, and the line that runs the cell again is printed.

` + exitCodes,
		Example: `  trihold fault --quick
  trihold fault --faults kill,power-loss --stores inmem,sqlite --rounds 5
  trihold fault --migrations --rounds 50 --seed 7
  trihold fault --stores inmem/quorum --rounds 100
  trihold fault --replay kill@inmem/disk@1234`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, c) },
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.config.Quick, "quick", false, "only the faults that tell most")
	fl.BoolVar(&f.config.Migrations, "migrations", false, "move stores from each backend to each other one instead, and kill what takes part at every step")
	fl.StringSliceVar(&f.config.Faults, "faults", nil, "faults to inject (default: all)")
	fl.StringSliceVar(&f.config.Stores, "stores", nil, "stores to break (default: inmem/disk, sqlite/disk, rqlite/disk and inmem/quorum, as far as they can be opened)")
	fl.IntVar(&f.config.Rounds, "rounds", 0, "how often each cell is run, with another seed (default: 1)")
	fl.Uint64Var(&f.config.Seed, "seed", 0, "seed of operations and faults (default: 1)")
	fl.StringVar(&f.config.Replay, "replay", "", "run one cell again, by its name fault@store@seed")
	fl.StringVar(&f.config.Dir, "dir", "", "where the directories of the stores are made (default: that of temporary files)")
	fl.BoolVar(&f.config.Keep, "keep", false, "keep the directories and histories of all cells")
	fl.StringVarP(&f.out, "out", "o", "", "write the results to this file, and keep what is left of bad cells beside it")
	fl.BoolVar(&f.list, "list", false, "list faults and stores, and inject nothing")
	fl.BoolVar(&f.json, "json", false, "print the results as JSON instead of the matrix")
	cmd.AddCommand(newFaultDoc(c), newFaultCorruption(c), newFaultNode(c))
	return cmd
}

func newFaultDoc(c console) *cobra.Command {
	return &cobra.Command{
		Use:   "doc RESULTS.json",
		Short: "print docs/faults.md with the results of a run",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{"name one results file, written by trihold fault -o: see " + cmd.CommandPath() + " --help"}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := result.Read(args[0])
			if err != nil {
				return &usageError{err.Error()}
			}
			if len(file.Cells) == 0 {
				return &usageError{args[0] + " holds no cells: name a file that trihold fault has written"}
			}
			return fault.Document(c.out, file)
		},
	}
}

func (f *faultFlags) run(cmd *cobra.Command, c console) error {
	if f.list {
		return listFaults(c)
	}
	if ran, err := inNamespace(cmd.Context(), c); ran {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	f.config.Node, f.config.Simulated = nodeOf(exe), simulated()
	f.config.Recover = func(dir string) error {
		_, err := inmem.Recover(inmem.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		return err
	}
	f.config.Command = commandLine(os.Args)
	if f.out != "" {
		if !strings.HasSuffix(f.out, ".json") {
			return &usageError{fmt.Sprintf("-o %s: the results are JSON: give a name that ends in .json", f.out)}
		}
		f.config.Out = filepath.Join(filepath.Dir(f.out), strings.TrimSuffix(filepath.Base(f.out), ".json")+"-kept")
	}
	shown := newProgress(c.err)
	f.config.Progress = shown.show
	file, err := fault.Run(cmd.Context(), f.config)
	shown.clear()
	if err != nil {
		return err
	}
	return f.print(file, c)
}

func (f *faultFlags) print(file *result.File, c console) error {
	text, err := file.JSON()
	if err != nil {
		return err
	}
	if f.json {
		_, err = c.out.Write(text)
	} else {
		err = report.CellsText(c.out, file)
	}
	if err != nil {
		return fmt.Errorf("print results: %w", err)
	}
	if f.out != "" {
		if err := result.WriteFile(f.out, text); err != nil {
			return err
		}
		fmt.Fprintf(c.err, "results in %s\n", f.out)
	}
	for _, cell := range file.Cells {
		if !cell.Verdict.Good() {
			return errReported
		}
	}
	return nil
}

func listFaults(c console) error {
	for _, s := range fault.Subjects() {
		fmt.Fprintf(c.out, "store  %-22s %s\n", s.Name, s.URL)
	}
	for _, f := range fault.Catalogue() {
		quick := ""
		if f.Quick {
			quick = " (quick)"
		}
		if _, err := fmt.Fprintf(c.out, "fault  %-22s %s%s\n", f.Name, f.About, quick); err != nil {
			return err
		}
	}
	return nil
}

// nodeOf makes commands of newFaultNode.
func nodeOf(exe string) func(*syscalls.Link) *exec.Cmd {
	return func(l *syscalls.Link) *exec.Cmd {
		cmd := exec.Command(exe, "fault", "node")
		cmd.Args[0] = "trihold"
		if l != nil {
			cmd.Args = append(cmd.Args, "--supervised")
			cmd.ExtraFiles = []*os.File{l.End()}
		}
		return cmd
	}
}

// newFaultNode is the verb of the processes that fault starts.
func newFaultNode(c console) *cobra.Command {
	supervised := false
	cmd := &cobra.Command{
		Use:    "node",
		Short:  "run one store that is going to be broken, told what to do on standard input",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if supervised {
				if err := syscalls.Install(fault.SupervisedCalls, 3); err != nil {
					return err
				}
			}
			// Whatever prints by accident must not end up in the protocol.
			os.Stdout = os.Stderr
			return node.Serve(cmd.Context(), c.in, c.out)
		},
	}
	cmd.Flags().BoolVar(&supervised, "supervised", false, "let the supervisor at descriptor 3 judge system calls")
	return cmd
}
