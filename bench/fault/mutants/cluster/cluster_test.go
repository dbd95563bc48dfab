//go:build mutants

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"trihold/bench/fault"
	"trihold/bench/fault/node"
	"trihold/bench/fault/syscalls"
	_ "trihold/inmem"
)

// The test program is its own node.
func TestMain(m *testing.M) {
	if os.Getenv("MUTANT_NODE") != "" {
		if err := node.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func nodeCommand(*syscalls.Link) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "MUTANT_NODE=1")
	return cmd
}

// cells are those that find most, first.
var cells = []string{
	"leader-isolated", "leader-pause", "leader-transfer", "hasty-clients", "links-cut", "leader-isolated-with-reader", "leader-transfer-fails", "leader-kill",
	"power-loss-torn", "snapshot-catch-up",
}

func TestCells(t *testing.T) {
	for _, name := range cells {
		c := fault.Config{Node: nodeCommand, Replay: name + "@inmem/quorum@1", Dir: t.TempDir()}
		f, err := fault.Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if cell := f.Cells[0]; !cell.Verdict.Good() {
			t.Fatalf("%s: %s", cell.ID, cell.Why)
		}
	}
}
