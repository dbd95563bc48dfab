package fault_test

import (
	"testing"

	"trihold/bench/fault"
	"trihold/bench/result"
)

// A cell of a cluster ends with a kill of all nodes, and reads from each of them before
// and after.
func TestAClusterSurvivesTheLossOfItsLeader(t *testing.T) {
	for _, id := range []string{"leader-kill@inmem/quorum@5", "leader-isolated@inmem/quorum@6"} {
		for name, c := range run(t, fault.Config{Replay: id}) {
			if c.Verdict != result.Passed || c.Observed == 0 || c.Acked < 600 {
				t.Errorf("%s: %s %s; struck %d times, %d operations acknowledged", name, c.Verdict, c.Why, c.Observed, c.Acked)
			}
		}
	}
}

func TestAStaleReadOfAFollowerIsFoundOut(t *testing.T) {
	c := run(t, fault.Config{Replay: "control-stale@inmem/quorum@7"})["control-stale"]
	if c.Verdict != result.Red {
		t.Errorf("%s %s", c.Verdict, c.Why)
	}
}

func TestAFaultOfSeveralNodesMeansNothingForOne(t *testing.T) {
	c := run(t, fault.Config{Replay: "leader-kill@inmem/disk@1"})["leader-kill"]
	if c.Verdict != result.Skipped || c.Why == "" {
		t.Errorf("%s %s", c.Verdict, c.Why)
	}
	c = run(t, fault.Config{Replay: "log-flip-bit@inmem/quorum@1"})["log-flip-bit"]
	if c.Verdict != result.Skipped || c.Why == "" {
		t.Errorf("%s %s", c.Verdict, c.Why)
	}
}
