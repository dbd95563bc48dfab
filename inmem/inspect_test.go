package inmem

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trihold/internal/vfs"
	"trihold/repo"
)

// treeOf returns what a directory holds: names, sizes, times and contents.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		_, err = h.Write([]byte(path + info.ModTime().String()))
		if err == nil && !d.IsDir() {
			var b []byte
			if b, err = os.ReadFile(path); err == nil {
				_, err = h.Write(b)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(h.Sum(nil))
}

// inspected inspects a directory, which must be the same afterwards.
func inspected(t *testing.T, dir string) *Inspection {
	t.Helper()
	before := treeOf(t, dir)
	in, err := Inspect(t.Context(), vfs.OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if treeOf(t, dir) != before {
		t.Error("inspecting has changed the directory")
	}
	return in
}

// checkContent compares what was found with a digest of the store.
func checkContent(t *testing.T, in *Inspection, want repo.Digest) {
	t.Helper()
	if in.Content == nil || in.Content.Sum != want.Sum || in.Content.Rev != want.Rev || len(in.Content.Tables) != len(want.Tables) {
		t.Fatalf("the content is %+v, want %+v; findings %+v", in.Content, want, in.Findings)
	}
	for i, table := range in.Content.Tables {
		if w := want.Tables[i]; (repo.TableDigest{Table: table.Table, Rows: table.Rows, Sum: table.Sum}) != w {
			t.Errorf("table %+v, want %+v", table, w)
		}
	}
}

func TestInspectingFindsWhatOpeningWouldServe(t *testing.T) {
	for _, name := range golden {
		dir, want := goldenCopy(t, name)
		in := inspected(t, dir)
		checkContent(t, in, want)
		if len(in.Findings) > 0 || in.InUse != "" || in.Format != singleFormat || in.Member != nil {
			t.Errorf("%s: %+v", name, in)
		}
		if len(in.Snapshots) != keptSnapshots {
			t.Fatalf("%s: snapshots %+v", name, in.Snapshots)
		}
		if last := in.Log[len(in.Log)-1]; !last.Whole || last.Entries == 0 || last.Last != in.Content.LastIndex || last.Floor != last.Last || last.Torn > 0 || last.Size < last.Bytes {
			t.Errorf("%s: log %+v", name, in.Log)
		}
		for _, s := range in.Snapshots {
			if !s.Whole || s.Rev == 0 || s.Index == 0 || s.Bytes == 0 || s.Tables[0].Table != "note" || s.Tables[0].Rows == 0 {
				t.Errorf("%s: snapshot %+v", name, s)
			}
		}
	}
}

func TestInspectingTellsWhoHasTheStoreOpen(t *testing.T) {
	dir := t.TempDir()
	s := openNotes(t, Config{Dir: dir})
	if err := addNotes(t.Context(), s, 0, 3); err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(t.Context(), vfs.OS{}, dir)
	if err != nil || in.InUse != "this process already" {
		t.Errorf("in use by %q, %v", in.InUse, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if in := inspected(t, dir); in.InUse != "" || len(in.Findings) > 0 {
		t.Errorf("after it was closed: %+v", in)
	}
}

// found reports whether there is a finding about a file.
func found(in *Inspection, file string) bool {
	for _, f := range in.Findings {
		if strings.Contains(f.File, file) || strings.Contains(f.Problem, file) {
			return f.Problem != "" && f.Remedy != ""
		}
	}
	return false
}

// What opening would pass over is found, too.
func TestInspectingFindsAnyDamageThatMatters(t *testing.T) {
	dir, want := goldenCopy(t, "format1")
	files := filesOf(t, dir)
	unnoticed := map[string]int{}
	for _, name := range files {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		used := len(strings.TrimRight(string(content), "\x00"))
		step := max(used/60, 1)
		for at := 0; at < used; at += step {
			ruined := append([]byte(nil), content...)
			ruined[at] ^= 1 << (at % 8)
			if err := os.WriteFile(filepath.Join(dir, name), ruined, 0o644); err != nil {
				t.Fatal(err)
			}
			in, err := Inspect(t.Context(), vfs.OS{}, dir)
			if err != nil {
				t.Fatalf("%s damaged at %d: %v", name, at, err)
			}
			if in.Content != nil && in.Content.Sum != want.Sum {
				t.Errorf("%s damaged at %d: other content", name, at)
			}
			if !found(in, filepath.Base(name)) {
				if in.Content == nil {
					t.Errorf("%s damaged at %d: nothing is found about it: %+v", name, at, in.Findings)
				}
				unnoticed[name]++
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// A segment begins with three blocks, most of which is unused.
	for name, n := range unnoticed {
		if !strings.HasSuffix(name, ".log") || n > 60*12/14 {
			t.Errorf("%s: %d damages were not found", name, n)
		}
	}
}

func TestInspectingADirectoryWithoutAStoreIsAFinding(t *testing.T) {
	in := inspected(t, t.TempDir())
	if len(in.Findings) != 1 || in.Content != nil {
		t.Errorf("%+v", in)
	}
	if _, err := Inspect(t.Context(), vfs.OS{}, filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that does not exist: %v", err)
	}
}

func TestIndicesThatDoNotFitTheirRowsAreFound(t *testing.T) {
	r, _ := memberRoot(t, 50)
	rows, _ := r.tables[0].rows()
	if problems := r.tables[0].wrongOrders(rows); len(problems) > 0 {
		t.Fatalf("a sound table: %v", problems)
	}
	for what, ruin := range map[string]func(*table){
		"a row is missing in an index": func(t *table) { t.orders[2].Delete(rows[7]) },
		"an index has another version": func(t *table) { t.orders[1].Set(&row{rows[7].rev, &note{ID: 7, Text: "7"}}) },
		"a row is not found by key":    func(t *table) { t.byHash = newHashTree() },
		"two rows in a unique index":   func(t *table) { rows[8].value.(*note).Text = rows[7].value.(*note).Text },
	} {
		r, _ = memberRoot(t, 50)
		rows, _ = r.tables[0].rows()
		ruin(&r.tables[0])
		if problems := r.tables[0].wrongOrders(rows); len(problems) == 0 {
			t.Errorf("%s, and nothing is found", what)
		}
	}
}
