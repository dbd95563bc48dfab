package inmem

import (
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

func harness(class driver.Class) repotest.Harness {
	return repotest.Harness{Open: func(t testing.TB, dir string) driver.Store {
		s, err := Open(Config{Dir: dir, Class: class})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}}
}

func TestConformance(t *testing.T) { repotest.Conformance(t, harness(driver.Disk)) }

func TestConformanceInClassProcess(t *testing.T) { repotest.Conformance(t, harness(driver.Process)) }

func TestConformanceOnTheLeaderOfThreeProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite on a follower makes a leader work, too")
	}
	conformanceOnTrios(t, "n1")
}

func TestConformanceOnAFollowerOfThreeProcesses(t *testing.T) { conformanceOnTrios(t, "n2") }

// conformanceOnTrios runs the suite on the first node of clusters, with the given node
// as their leader.
func conformanceOnTrios(t *testing.T, leader string) {
	t.Parallel()
	c := newTrios(t, leader)
	repotest.Conformance(t, repotest.Harness{Open: func(t testing.TB, dir string) driver.Store { return c.open(t, dir) }})
	t.Logf("%d stores were opened; %d of them had another leader than %s when they were closed", c.opened, c.moved, leader)
	if c.moved > c.opened/4 {
		t.Errorf("%d of %d stores did not keep %s as their leader: the suite has not been talking to it", c.moved, c.opened, leader)
	}
}
