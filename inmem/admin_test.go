package inmem

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trihold/repo/driver"
)

// A puppet is administered, answers as it is told, and notes what was asked of it.
type puppet struct {
	asked  []string
	err    error
	backup string // written before err is returned
	wait   bool   // until the context ends
}

func (p *puppet) do(ctx context.Context, what string) error {
	p.asked = append(p.asked, what)
	if p.wait {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.err
}

func (p *puppet) ClusterStatus(ctx context.Context) (ClusterStatus, error) {
	return ClusterStatus{Name: "n1", Role: RoleLeader, Members: []MemberStatus{{Name: "n1", Lag: -1}}}, p.do(ctx, "status")
}
func (p *puppet) Promote(ctx context.Context, name string) error { return p.do(ctx, "promote "+name) }
func (p *puppet) Remove(ctx context.Context, name string) error  { return p.do(ctx, "remove "+name) }
func (p *puppet) Leave(ctx context.Context) error                { return p.do(ctx, "leave") }
func (p *puppet) Transfer(ctx context.Context, to string) error  { return p.do(ctx, "transfer "+to) }
func (p *puppet) SnapshotNow(ctx context.Context) error          { return p.do(ctx, "snapshot") }
func (p *puppet) Backup(ctx context.Context, w io.Writer) error {
	if _, err := io.WriteString(w, p.backup); p.backup != "" && err != nil {
		return err
	}
	return p.do(ctx, "backup")
}

func served(t *testing.T, dir string, p *puppet) *admin {
	t.Helper()
	a, err := serveAdmin(dir, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.close() }) // again, perhaps
	return a
}

func TestCommandsReachTheNodeOfADirectory(t *testing.T) {
	dir, p := t.TempDir(), &puppet{backup: "all of it"}
	served(t, dir, p)
	ctx := t.Context()
	a, err := Ask(ctx, dir, Command{Do: DoStatus})
	if err != nil || a.Status == nil || a.Status.Name != "n1" || a.Status.Role != RoleLeader || a.Status.Members[0].Lag != -1 {
		t.Errorf("status: %+v, %v", a.Status, err)
	}
	for _, c := range []Command{{DoPromote, "n2"}, {DoRemove, "n3"}, {DoTransfer, ""}, {DoSnapshot, ""}, {DoLeave, ""}} {
		if _, err := Ask(ctx, dir, c); err != nil {
			t.Errorf("%s: %v", c.Do, err)
		}
	}
	var backup bytes.Buffer
	if err := AskBackup(ctx, dir, &backup); err != nil || backup.String() != "all of it" {
		t.Errorf("backup: %q, %v", &backup, err)
	}
	if got, want := strings.Join(p.asked, ", "), "status, promote n2, remove n3, transfer , snapshot, leave, backup"; got != want {
		t.Errorf("asked was: %s, want %s", got, want)
	}
	if _, err := Ask(ctx, dir, Command{Do: "frobnicate"}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("a command that does not exist: %v", err)
	}
}

func TestARefusalKeepsItsKindAndItsText(t *testing.T) {
	dir := t.TempDir()
	p := &puppet{err: driver.Failed("remove n3", driver.ErrUnavailable, errors.New("no leader is known"))}
	served(t, dir, p)
	_, err := Ask(t.Context(), dir, Command{DoRemove, "n3"})
	if !errors.Is(err, driver.ErrUnavailable) || err.Error() != p.err.Error() {
		t.Errorf("refused with %v, want %v", err, p.err)
	}
	if errors.Is(err, ErrNobody) {
		t.Error("somebody answered")
	}
	if err := AskBackup(t.Context(), dir, io.Discard); !errors.Is(err, driver.ErrUnavailable) || err.Error() != p.err.Error() {
		t.Errorf("the backup is refused with %v, want %v", err, p.err)
	}
}

func TestABackupThatBreaksOffIsAnError(t *testing.T) {
	dir := t.TempDir()
	p := &puppet{backup: strings.Repeat("x", 1<<20), err: driver.Failed("back up", driver.ErrCorrupt, errors.New("a block is damaged"))}
	a := served(t, dir, p)
	if err := AskBackup(t.Context(), dir, io.Discard); !errors.Is(err, driver.ErrCorrupt) || err.Error() != p.err.Error() {
		t.Errorf("got %v, want %v", err, p.err)
	}
	// The node ends in the middle of it.
	p.wait = true
	closing := writerFunc(func(b []byte) (int, error) { go a.close(); return len(b), nil })
	if err := AskBackup(t.Context(), dir, closing); err == nil {
		t.Error("the backup of a node that has ended is complete")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestADirectoryWithoutARunningNodeHasNobodyToAsk(t *testing.T) {
	dir := t.TempDir()
	nobody := func(when string) {
		t.Helper()
		_, err := Ask(t.Context(), dir, Command{Do: DoStatus})
		if !errors.Is(err, ErrNobody) || !errors.Is(err, driver.ErrUnavailable) {
			t.Errorf("%s: %v", when, err)
		}
	}
	nobody("there is no socket")
	if err := served(t, dir, &puppet{}).close(); err != nil {
		t.Fatal(err)
	}
	nobody("the node has ended")
	if _, err := os.Lstat(filepath.Join(dir, adminName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a closed node leaves its socket: %v", err)
	}
	leaveSocket(t, dir)
	nobody("the node was killed")
	served(t, dir, &puppet{}) // what it left is no obstacle
	if _, err := Ask(t.Context(), dir, Command{Do: DoStatus}); err != nil {
		t.Error(err)
	}
}

// leaveSocket leaves a socket that nobody serves, as a killed process does.
func leaveSocket(t *testing.T, dir string) {
	t.Helper()
	a := served(t, dir, &puppet{})
	path := filepath.Join(dir, adminName)
	if err := os.Rename(path, path+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".kept", path); err != nil {
		t.Fatal(err)
	}
}

// A socket address has at most 107 bytes.
func TestThePathOfADirectoryMayBeLong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a", 100), strings.Repeat("b", 100))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	served(t, dir, &puppet{})
	if _, err := Ask(t.Context(), dir, Command{Do: DoStatus}); err != nil {
		t.Error(err)
	}
	info, err := os.Lstat(filepath.Join(dir, adminName))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket is %v, %v; want it for its owner alone", info.Mode(), err)
	}
}

func TestACommandEndsWithWhoeverAskedForIt(t *testing.T) {
	dir, p := t.TempDir(), &puppet{wait: true}
	a := served(t, dir, p)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error)
	go func() {
		_, err := Ask(ctx, dir, Command{Do: DoLeave})
		asked <- err
	}()
	cancel()
	if err := <-asked; !errors.Is(err, context.Canceled) {
		t.Errorf("the answer is %v", err)
	}
	if err := a.close(); err != nil {
		t.Error(err)
	}
}
