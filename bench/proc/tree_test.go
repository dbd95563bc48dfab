package proc

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// family starts a shell with two children, one of which has a child.
func family(t *testing.T) (Tree, []int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "sleep 1000 & sh -c 'sleep 1000 & wait' & wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go cmd.Wait()
	tree := Tree{cmd.Process.Pid}
	t.Cleanup(func() { _ = tree.Kill() })
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		pids, err := tree.PIDs()
		if err != nil {
			t.Fatal(err)
		}
		if len(pids) == 4 {
			return tree, pids
		}
		if time.Now().After(deadline) {
			t.Fatalf("the tree is %v", pids)
		}
	}
}

func TestKillEndsAllDescendants(t *testing.T) {
	tree, pids := family(t)
	if err := tree.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if running(pid) {
			t.Errorf("process %d is still running", pid)
		}
	}
	if left, err := tree.PIDs(); err != nil || len(left) > 0 {
		t.Errorf("the tree is %v, %v", left, err)
	}
}

func TestMemoryIsThatOfTheWholeTree(t *testing.T) {
	tree, pids := family(t)
	all, err := tree.PSS()
	if err != nil {
		t.Fatal(err)
	}
	root, err := pss(pids[:1])
	if err != nil {
		t.Fatal(err)
	}
	if root <= 0 || all <= root {
		t.Errorf("the tree has %d bytes, its root %d", all, root)
	}
	s := Sample(tree)
	time.Sleep(150 * time.Millisecond)
	peak, err := s.Stop()
	if err != nil || peak < all/2 || peak > 2*all {
		t.Errorf("the peak was %d, %v; the tree has %d", peak, err, all)
	}
}

func TestWaitGivesUpOnAProcessThatStays(t *testing.T) {
	_, pids := family(t)
	if err := Wait(pids, 20*time.Millisecond); err == nil || !strings.Contains(err.Error(), "still there") {
		t.Errorf("got %v", err)
	}
}
