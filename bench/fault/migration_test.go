package fault_test

import (
	"os"
	"strings"
	"testing"

	"trihold/bench/fault"
	"trihold/bench/result"
	_ "trihold/rqlitebackend"
)

func TestStoresMoveWholeBetweenAllBackendsWhateverIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("a dozen moves take the better part of a minute")
	}
	// The path of a socket is short, and that of a test's directory is not.
	dir, err := os.MkdirTemp("", "moves-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file, err := fault.Run(t.Context(), fault.Config{Node: nodeCommand, Quick: true, Migrations: true, Rounds: 2, Dir: dir, Out: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, dir)
	var sum result.Migration
	red := 0
	for _, c := range file.Cells {
		if !c.Verdict.Good() {
			t.Errorf("%s: %s %s; %s", c.ID, c.Verdict, c.Why, c.Replay)
		}
		if c.Control {
			red++
			continue
		}
		if c.Migration.Struck() == 0 {
			t.Errorf("%s: nothing has struck", c.ID)
		}
		sum.Add(c.Migration)
	}
	for _, why := range file.LeftOut {
		t.Log("left out:", why)
	}
	if red != 2 || sum.Cutovers < 4 || sum.Doubled+sum.Histories > 0 {
		t.Errorf("%d controls were found out; %+v", red, sum)
	}
}

func TestOnlyOneFaultIsForStoresThatMove(t *testing.T) {
	c := fault.Config{Node: nodeCommand, Dir: t.TempDir(), Migrations: true, Faults: []string{"kill"}}
	if _, err := fault.Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "leave out --faults") {
		t.Errorf("got %v", err)
	}
}
