package rqlitebackend

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// refusedWith checks that an error is of a kind, one line, and says what it must.
func refusedWith(t *testing.T, what string, err, kind error, says ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want one that is %q", what, err, kind)
		return
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: more than one line: %q", what, err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s: %q does not say %q", what, err, s)
		}
	}
}

func TestABadURLIsRefusedWithTheRemedy(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ url, says string }{
		{"rqlite:" + dir, "managed=1"},
		{"rqlite:", "name a host"},
		{"rqlite:?managed=1", "name a host"},
		{"rqlite:" + dir + "?managed=2", "managed=1"},
		{"rqlite:" + dir + "?managed=yes", "whole number"},
		{"rqlite:" + dir + "?managed=1&class=quorum", "it can give: disk"},
		{"rqlite:" + dir + "?managed=1&clas=disk", `unknown parameter "clas"`},
		{"rqlite:" + dir + "?managed=1&patience=-1s", "patience"},
		{"rqlite:" + dir + "?managed=1&binary=/nowhere/rqlited", "/nowhere/rqlited"},
		{"rqlite://localhost:4001?managed=1", "choose one"},
		{"rqlite://localhost:4001?binary=x", "choose one"},
		{"rqlite://localhost:4001/path", "/path"},
		{"rqlite://loc alhost", "no host"},
	} {
		_, err := driver.Open(t.Context(), c.url)
		refusedWith(t, c.url, err, driver.ErrInvalid, c.says)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("something was created: %v (%v)", names, err)
	}
}

func TestAMissingBinaryIsNamedWithTheRemedy(t *testing.T) {
	empty := t.TempDir()
	t.Chdir(empty)
	t.Setenv("PATH", empty)
	t.Setenv(binaryVariable, "")
	_, err := Open(t.Context(), Config{Dir: "data", Logger: quiet})
	refusedWith(t, "no rqlited", err, driver.ErrUnavailable, "make build", "C compiler", binaryVariable)
	t.Setenv(binaryVariable, filepath.Join(empty, "rqlited"))
	_, err = Open(t.Context(), Config{Dir: "data", Logger: quiet})
	refusedWith(t, "wrong variable", err, driver.ErrInvalid, binaryVariable, "names")
	if names, err := os.ReadDir(empty); err != nil || len(names) != 0 {
		t.Errorf("something was created: %v (%v)", names, err)
	}
}

func TestTheBinaryIsFoundAboveTheWorkingDirectoryUpToTheModule(t *testing.T) {
	root := t.TempDir()
	inside := filepath.Join(root, "module", "a", "b")
	for _, dir := range []string{inside, filepath.Join(root, "bin"), filepath.Join(root, "module", "bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"bin/rqlited": 0o755, "module/go.mod": 0o644} {
		if err := os.WriteFile(filepath.Join(root, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(inside)
	t.Setenv("PATH", "")
	t.Setenv(binaryVariable, "")
	if path, err := findBinary(""); err == nil {
		t.Errorf("found %s outside of the module", path)
	}
	want := filepath.Join(root, "module", "bin", "rqlited")
	if err := os.WriteFile(want, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := findBinary(""); path != want {
		t.Errorf("found %q (%v), want %s", path, err, want)
	}
}

func TestAnotherVersionOfRqliteIsRefused(t *testing.T) {
	for _, c := range []struct{ prints, says string }{
		{"rqlited v9.4.1 linux amd64", "needs v8"},
		{"rqlited 10 linux amd64", "needs v8"},
		{"rqlited dev linux amd64", "needs v8"},
		{"something else", "is no rqlited"},
		{"", "is no rqlited"},
	} {
		fake := filepath.Join(t.TempDir(), "rqlited")
		if err := os.WriteFile(fake, []byte("#!/bin/sh\necho '"+c.prints+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "data")
		_, err := Open(t.Context(), Config{Dir: dir, Binary: fake, Logger: quiet})
		refusedWith(t, c.prints, err, driver.ErrInvalid, c.says)
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q: the directory was created", c.prints)
		}
	}
	for _, v := range []string{"8", "v8.43.4"} {
		if err := checkVersion("it", v); err != nil {
			t.Errorf("version %s: %v", v, err)
		}
	}
}

func TestADirectoryOfSomethingElseIsRefusedAndLeftAlone(t *testing.T) {
	needBinary(t)
	for _, c := range []struct {
		file, content, says string
		kind                error
	}{
		{"photo.jpg", "x", "empty directory", driver.ErrInvalid},
		{"node1", "x", "empty directory", driver.ErrInvalid},
		{storeName, "trihold inmem store, format 1\n{}\n00000000\n", "another backend", driver.ErrInvalid},
		{storeName, string(markContent(storeFormat + 1)), "newer version", driver.ErrInvalid},
		{storeName, string(markContent(storeFormat))[1:], "damaged", driver.ErrCorrupt},
		{storeName, "", "damaged", driver.ErrCorrupt},
	} {
		dir := t.TempDir()
		name := filepath.Join(dir, c.file)
		if err := os.WriteFile(name, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), Config{Dir: dir, Logger: quiet})
		refusedWith(t, c.content, err, c.kind, c.says, dir)
		left, err := os.ReadDir(dir)
		if now, _ := os.ReadFile(name); err != nil || len(left) != 1 || string(now) != c.content {
			t.Errorf("%q: the directory was changed: %v (%v)", c.content, left, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Dir: file, Logger: quiet})
	refusedWith(t, "a file", err, driver.ErrInvalid, "is a file")
	_, err = Open(t.Context(), Config{Dir: "/proc/trihold", Logger: quiet})
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a place that cannot be written to: %v", err)
	}
}

// A node that cannot start says why, and leaves no process.
func TestANodeThatCannotStartSaysWhy(t *testing.T) {
	dir := t.TempDir()
	s := openManaged(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, nodeID, "raft.db"), []byte(strings.Repeat("damage", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Dir: dir, Logger: quiet})
	refusedWith(t, "a damaged log", err, driver.ErrUnavailable, "invalid database", "node1.log")
}

func TestAnExternalRqliteIsSharedAndNotStopped(t *testing.T) {
	first := openBank(t)
	host, _ := first.client.peers.now()
	d, err := driver.Open(t.Context(), "rqlite://127.0.0.1:1,"+host)
	if err != nil {
		t.Fatal(err)
	}
	second := d.(*Store)
	if err := second.Prepare(t.Context(), bankSchema.Driver()); err != nil {
		t.Fatal(err)
	}
	rev := mustCommit(t, first, accountWrite(driver.Insert, "a", "a@x"))
	if got := rowRev(t, second, accountTable, accountKey("a")); got != rev {
		t.Errorf("the other store shows revision %d, want %d", got, rev)
	}
	if next := mustCommit(t, second, accountWrite(driver.Insert, "b", "b@x")); next != rev+1 {
		t.Errorf("its commit has revision %d, want %d", next, rev+1)
	}
	if st, err := second.Status(t.Context()); err != nil || st.PIDs != nil || st.Disk != 0 || st.Rev != rev+1 {
		t.Errorf("status: %+v (%v)", st, err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if rev := rowRev(t, first, accountTable, accountKey("b")); rev == 0 {
		t.Error("the first store does not see what the other has committed")
	}
}

func TestADatabaseThatIsNotOursIsRefused(t *testing.T) {
	s := openManaged(t, t.TempDir())
	defer s.Close()
	execute(t, s, sqlstmt.Stmt{SQL: `CREATE TABLE orders (id INTEGER PRIMARY KEY)`})
	refusedWith(t, "foreign table", s.Prepare(t.Context(), bankSchema.Driver()), driver.ErrInvalid, "orders", "another rqlite")
	rows, err := s.query(t.Context(), sqlstmt.Stmt{SQL: `SELECT count(*) FROM sqlite_master`}, columnInt)
	if err != nil || rows[0][0] != int64(1) {
		t.Errorf("something was created: %v (%v)", rows, err)
	}
	execute(t, s, sqlstmt.Stmt{SQL: `DROP TABLE orders`})
	if err := s.Prepare(t.Context(), bankSchema.Driver()); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, "another schema", s.Prepare(t.Context(), thingSchema.Driver()), driver.ErrInvalid, "another schema")
	execute(t, s, sqlstmt.Stmt{SQL: sqlstmt.MetaPut, Args: []driver.Value{sqlstmt.MetaFormat, "trihold-sql-99"}})
	refusedWith(t, "another layout", s.Prepare(t.Context(), bankSchema.Driver()), driver.ErrInvalid, "trihold-sql-99")
}

func TestWhatDoesNotAnswerLikeRqliteIsNamed(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	_, err := driver.Open(t.Context(), "rqlite://"+web.Listener.Addr().String())
	refusedWith(t, "a web server", err, driver.ErrInvalid, "rqlite", web.Listener.Addr().String())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()
	_, err = driver.Open(t.Context(), "rqlite://user:secret@"+free)
	refusedWith(t, "nothing", err, driver.ErrUnavailable, "start rqlite at "+free)
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is printed: %v", err)
	}
}

func TestAUserIsAskedForAndItsPasswordIsNeverPrinted(t *testing.T) {
	needBinary(t)
	dir := t.TempDir()
	users := filepath.Join(dir, "users.json")
	if err := os.WriteFile(users, []byte(`[{"username": "app", "password": "secret", "perms": ["all"]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	host := startPlain(t, filepath.Join(dir, "data"), "-auth", users)
	for _, user := range []string{"", "app:wrong-secret@", "other:secret@"} {
		_, err := driver.Open(t.Context(), "rqlite://"+user+host)
		refusedWith(t, user, err, driver.ErrInvalid, "user and password")
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is printed: %v", err)
		}
	}
	d, err := driver.Open(t.Context(), "rqlite://app:secret@"+host)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Prepare(t.Context(), bankSchema.Driver()); err != nil {
		t.Error(err)
	}
}

// startPlain starts an rqlited as an operator would, and returns its address.
func startPlain(t *testing.T, data string, args ...string) (host string) {
	t.Helper()
	binary, err := findBinary("")
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(binary, nil, nil, quiet)
	if err := n.choosePorts(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, append(args, "-http-addr", n.http, "-raft-addr", n.raft, data)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 1000 {
		if conn, err := net.Dial("tcp", n.http); err == nil {
			conn.Close()
			return n.http
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(fmt.Errorf("rqlited does not listen at %s", n.http))
	return ""
}

// rqlited itself would begin anew.
func TestANodeWhoseLogIsGoneIsCorrupt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := Open(t.Context(), Config{Dir: dir, Managed: 1, Logger: quiet})
	if errors.Is(err, driver.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, nodeID, "raft.db")); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{Dir: dir, Managed: 1, Logger: quiet})
	refusedWith(t, "no log", err, driver.ErrCorrupt, "raft.db", "restore a backup")
}
