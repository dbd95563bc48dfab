package sqlitebackend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"trihold/repo"
	"trihold/repo/driver"
)

// openNotes opens a store of notes and closes it when the test ends.
func openNotes(t testing.TB, c Config) (*repo.Store, *Store) {
	t.Helper()
	d, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	s, err := repo.New(t.Context(), d, noteSchema)
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func putNotes(t testing.TB, s *repo.Store, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := s.Update(t.Context(), func(tx *repo.Tx) error { return notes.Put(tx, noteOf(i)) }); err != nil {
			t.Fatalf("put note %d: %v", i, err)
		}
	}
}

func countNotes(t testing.TB, s *repo.Store) (n int, rev repo.Rev) {
	t.Helper()
	err := s.View(t.Context(), func(tx *repo.ReadTx) (err error) {
		n, err = notes.All().Count(tx)
		rev = tx.Rev()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, rev
}

// What is wrong with a file or a URL is specific to the backend.
func TestBadInputIsOneClearLineAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Mkdir(at("directory"), 0o755))
	must(t, os.WriteFile(at("text"), []byte(strings.Repeat("This is not a database.\n", 100)), 0o644))
	makeForeign(t, at("foreign.db"))
	makeOther(t, at("other.db"))
	makeNewer(t, at("newer.db"))
	before := listDir(t, dir)
	for _, c := range []struct {
		name, url string
		kind      error
		says      string
	}{
		{"no file", "sqlite:", driver.ErrInvalid, "write sqlite:PATH"},
		{"a host", "sqlite://host/app.db", driver.ErrInvalid, "sqlite:PATH"},
		{"a directory", "sqlite:" + at("directory"), driver.ErrInvalid, "name a file"},
		{"a missing directory", "sqlite:" + at("missing/app.db"), driver.ErrInvalid, "create it first"},
		{"not a database", "sqlite:" + at("text"), driver.ErrInvalid, "choose another file"},
		{"another database", "sqlite:" + at("foreign.db"), driver.ErrInvalid, `"invoices"`},
		{"another schema", "sqlite:" + at("other.db"), driver.ErrInvalid, "open it with that schema"},
		{"a later format", "sqlite:" + at("newer.db"), driver.ErrInvalid, "use the version of the program"},
		{"an unknown parameter", "sqlite:" + at("a.db") + "?clas=disk", driver.ErrInvalid, `unknown parameter "clas"; known: class`},
		{"an unknown class", "sqlite:" + at("a.db") + "?class=quorum", driver.ErrInvalid, "it can give: process, disk, replica"},
		{"class memory", "sqlite:" + at("a.db") + "?class=memory", driver.ErrInvalid, "it can give: process, disk, replica"},
		{"class replica without one", "sqlite:" + at("a.db") + "?class=replica", driver.ErrInvalid, "add replica=file:///"},
		{"a replica that is no URL", "sqlite:" + at("a.db") + "?replica=backup", driver.ErrInvalid, "file:///absolute/directory"},
		{"a replica that cannot be", "sqlite:" + at("a.db") + "?replica=file://" + at("text"), driver.ErrUnavailable, "not a directory"},
		{"a negative interval", "sqlite:" + at("a.db") + "?sync=-1s", driver.ErrInvalid, "negative"},
		{"no duration", "sqlite:" + at("a.db") + "?sync=soon", driver.ErrInvalid, "a duration such as"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := repo.Open(context.Background(), c.url, noteSchema)
			if err == nil {
				t.Fatalf("%s opens: %v", c.url, s.Close())
			}
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line that is %q and says %q", err, c.kind, c.says)
			}
			if after := listDir(t, dir); after != before {
				t.Errorf("files are left behind or gone:\nbefore %s\nafter  %s", before, after)
			}
		})
	}
}

func makeForeign(t *testing.T, path string) {
	t.Helper()
	db := sqlx.MustOpen("sqlite", path)
	db.MustExec("CREATE TABLE invoices (id INTEGER PRIMARY KEY)")
	must(t, db.Close())
}

// makeOther makes a store of another schema.
func makeOther(t *testing.T, path string) {
	t.Helper()
	type visit struct {
		ID int64 `db:"id"`
	}
	schema := repo.NewSchema(repo.NewTable("visit", func(v *visit) *int64 { return &v.ID }))
	s, err := repo.Open(t.Context(), "sqlite:"+path, schema)
	must(t, err)
	must(t, s.Close())
}

// makeNewer makes a store of a later version of the program.
func makeNewer(t *testing.T, path string) {
	t.Helper()
	s, err := repo.Open(t.Context(), "sqlite:"+path, noteSchema)
	must(t, err)
	must(t, s.Close())
	db := sqlx.MustOpen("sqlite", path)
	db.MustExec("UPDATE _trihold_meta SET value = 'trihold-sql-2' WHERE key = 'format'")
	must(t, db.Close())
}

func listDir(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		names = append(names, fmt.Sprintf("%s(%d)", e.Name(), info.Size()))
	}
	return strings.Join(names, " ")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Specific to a file: two processes could have it open.
func TestAFileInUseIsRefusedAndItsHolderNamed(t *testing.T) {
	const hold = "TRIHOLD_TEST_HOLD"
	if path := os.Getenv(hold); path != "" {
		_, err := Open(context.Background(), Config{Path: path})
		must(t, err)
		fmt.Println("holding")
		select {}
	}
	path := filepath.Join(t.TempDir(), "app.db")
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), hold+"="+path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "holding\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	_, err = Open(t.Context(), Config{Path: path})
	if !errors.Is(err, driver.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprintf("by process %d", cmd.Process.Pid)) {
		t.Errorf("got %v, want an error that names process %d", err, cmd.Process.Pid)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, driver.ErrUnavailable) || !strings.Contains(err.Error(), "this process") {
		t.Errorf("open twice in one process: %v", err)
	}
	must(t, s.Close())
}

// The file is meant for people too.
func TestThePlainSQLiteShellReadsTheFile(t *testing.T) {
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("the sqlite3 shell is not installed")
	}
	c := testConfig(t.TempDir(), driver.Disk)
	s, _ := openNotes(t, c)
	putNotes(t, s, 0, 3)
	must(t, s.Close())
	out, err := exec.Command(shell, c.Path, "SELECT id, number, _rev FROM note WHERE channel = 'main' ORDER BY number DESC LIMIT 1; SELECT touched FROM _trihold_changes ORDER BY rev LIMIT 1; PRAGMA integrity_check;").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := "note00000002|2|3\n[[\"put\",\"note\",\"note00000000\"]]\nok\n"; string(out) != want {
		t.Errorf("got %s, want %s", out, want)
	}
	db := sqlx.MustOpen("sqlite", c.Path)
	defer db.Close()
	var row struct {
		ID      string `db:"id"`
		Channel string `db:"channel"`
		Number  int64  `db:"number"`
		Created int64  `db:"created"`
		Text    string `db:"text"`
		Rev     int64  `db:"_rev"`
	}
	must(t, db.Get(&row, "SELECT * FROM note WHERE id = 'note00000001'"))
	if row.Number != 1 || row.Text != noteText || row.Rev != 2 {
		t.Errorf("sqlx reads %+v", row)
	}
}
