package rqlitebackend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"trihold/repo"
	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// These tests are about the managed process, which no other backend has.

// childDir is set in the environment of a program that holds a store open.
const childDir = "TRIHOLD_TEST_HOLD_DIR"

// holdOpen is that program: it opens the store, prints the process of rqlited, and
// waits to be killed.
func holdOpen(dir string) {
	s, err := Open(context.Background(), Config{Dir: dir, Logger: quiet})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	fmt.Println("open", s.node.pids()[0])
	select {}
}

// startHolder starts a program that holds the store in dir open.
func startHolder(t *testing.T, dir string) (holder *exec.Cmd, rqlited int) {
	t.Helper()
	needBinary(t)
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	pid, ok := strings.CutPrefix(strings.TrimSpace(line), "open ")
	if !ok {
		t.Fatalf("the holder said %q", line)
	}
	if rqlited, err = strconv.Atoi(pid); err != nil {
		t.Fatal(err)
	}
	return cmd, rqlited
}

// gone reports whether a process ends within a while.
func gone(pid int) bool {
	for range 500 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestTheNodeIsGoneAfterClose(t *testing.T) {
	s := openManaged(t, t.TempDir())
	pid := s.node.pids()[0]
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("rqlited does not run: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !gone(pid) {
		t.Errorf("rqlited %d is still there", pid)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

func TestTheNodeDiesWithAProgramThatIsKilled(t *testing.T) {
	dir := t.TempDir()
	holder, pid := startHolder(t, dir)
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if !gone(pid) {
		t.Errorf("rqlited %d has outlived its program", pid)
	}
	if err := openManaged(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

func TestADirectoryInUseNamesTheProcess(t *testing.T) {
	dir := t.TempDir()
	holder, _ := startHolder(t, dir)
	_, err := Open(t.Context(), Config{Dir: dir, Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d", holder.Process.Pid)) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	if !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestAKilledNodeIsStartedAgainAndNobodyNotices(t *testing.T) {
	s := openBank(t)
	store, err := repo.New(t.Context(), s, bankSchema)
	if err != nil {
		t.Fatal(err)
	}
	const writers = 8
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stop := make(chan struct{})
	counts := make([]int64, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := store.Update(ctx, func(tx *repo.Tx) error {
					id := fmt.Sprint(w)
					a, err := accounts.Get(tx, id)
					if err != nil && !errors.Is(err, repo.ErrNotFound) {
						return err
					}
					return accounts.Put(tx, account{ID: id, Email: id, Cents: a.Cents + 1})
				})
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				counts[w]++
			}
		})
	}
	for range 10 {
		time.Sleep(200 * time.Millisecond)
		if _, err := s.client.peers.current(ctx); err != nil {
			t.Fatal(err)
		}
		s.node.signal(syscall.SIGKILL)
	}
	time.Sleep(200 * time.Millisecond)
	close(stop)
	wg.Wait()
	var total int64
	for w := range writers {
		err := store.View(ctx, func(tx *repo.ReadTx) error {
			a, err := accounts.Get(tx, fmt.Sprint(w))
			if a.Cents != counts[w] {
				t.Errorf("writer %d made %d commits, and %d were applied", w, counts[w], a.Cents)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		total += counts[w]
	}
	t.Logf("%d commits while rqlited was killed 10 times", total)
	repotest.Verify(t, s, bankSchema.Driver())
}

// stopped runs fn while rqlited is stopped: it takes connections and answers
// nothing.
func stopped(t *testing.T, s *Store, fn func()) {
	t.Helper()
	s.node.signal(syscall.SIGSTOP)
	defer s.node.signal(syscall.SIGCONT)
	fn()
}

func TestACommitThatIsCutOffIsUncertainAndIsFoundAgain(t *testing.T) {
	s := openBank(t)
	c := pend(nil, accountWrite(driver.Insert, "a", "a@x")).commit
	stopped(t, s, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := s.Commit(ctx, c)
		if !errors.Is(err, driver.ErrUncertain) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want ErrUncertain and the context's error", err)
		}
	})
	base := latest(t, s)
	rev, err := s.Commit(t.Context(), c)
	if err != nil || rev != 1 {
		t.Fatalf("sent again: revision %d (%v), want 1", rev, err)
	}
	if now := latest(t, s); now != 1 {
		t.Errorf("the store is at revision %d (%d before it was sent again): it was applied twice", now, base)
	}
}

func TestACommitThatWasNotSentHasNoEffect(t *testing.T) {
	s := openBank(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Commit(ended, pend(nil, accountWrite(driver.Insert, "ended", "")).commit); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("with an ended context: got %v, want ErrUnavailable", err)
	}
	var waiting sync.WaitGroup
	stopped(t, s, func() {
		for i := range maxCommitRequests { // they are sent, one by one, and hold up the next
			waiting.Go(func() {
				if _, err := s.Commit(t.Context(), pend(nil, accountWrite(driver.Insert, fmt.Sprint(i), fmt.Sprint(i))).commit); err != nil {
					t.Errorf("commit %d: %v", i, err)
				}
			})
			for sent := 0; sent <= i; time.Sleep(time.Millisecond) {
				s.commits.mu.Lock()
				sent = s.commits.requests
				s.commits.mu.Unlock()
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := s.Commit(ctx, pend(nil, accountWrite(driver.Insert, "left", "left")).commit)
		if !errors.Is(err, driver.ErrUnavailable) || errors.Is(err, driver.ErrUncertain) {
			t.Errorf("one that waited: got %v, want ErrUnavailable", err)
		}
	})
	waiting.Wait()
	if rev := rowRev(t, s, accountTable, accountKey("left")); rev != 0 {
		t.Error("the commit that was not sent was applied")
	}
	if rev := latest(t, s); rev != maxCommitRequests {
		t.Errorf("the store is at revision %d, want %d", rev, maxCommitRequests)
	}
}

func TestATakenPortIsNotWaitedFor(t *testing.T) {
	needBinary(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d, err := openDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.release(); err != nil {
			t.Error(err)
		}
	}()
	binary, err := findBinary("")
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"http", "raft"} {
		n := newNode(binary, d, newPeers(), quiet)
		n.http, n.raft = taken.Addr().String(), "127.0.0.1:0"
		if port == "raft" {
			n.http, n.raft = "127.0.0.1:0", taken.Addr().String()
		}
		if err := n.start(t.Context()); err != nil {
			t.Errorf("%s port taken: %v", port, err)
			continue
		}
		n.stop()
	}
}

func TestAFullDiskIsNamed(t *testing.T) {
	needBinary(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("needs to mount a small file system: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	s, err := Open(t.Context(), Config{Dir: filepath.Join(dir, "d"), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Prepare(t.Context(), bankSchema.Driver()); err != nil {
		t.Fatal(err)
	}
	balloon := filepath.Join(dir, "balloon")
	if err := os.WriteFile(balloon, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 100_000)
	acked := driver.Rev(0)
	for err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err = s.Commit(ctx, pend(nil, noteWrite(driver.Put, "n", int64(acked), big)).commit)
		cancel()
		if err == nil {
			acked++
		}
	}
	t.Logf("after %d commits: %v", acked, err)
	if !strings.Contains(err.Error(), "is full") || !strings.Contains(err.Error(), "make space") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the disk is full, the error is: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(t.Context(), s.c); !errors.Is(err, driver.ErrUnavailable) || !strings.Contains(err.Error(), "make space") {
		t.Errorf("opened on a full disk: %v", err)
	}
	if err := os.Remove(balloon); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), s.c)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if st, err := again.Status(t.Context()); err != nil || st.Rev < acked {
		t.Errorf("after there was space again: revision %d (%v), and %d were acknowledged", st.Rev, err, acked)
	}
}
