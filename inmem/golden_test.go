package inmem

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"trihold/repo"
)

// The directories in testdata are never made anew, but by the code of their time:
// "first" when snapshot files had format 1, "format1" just before stores could become
// members of a cluster, "format2" is the first one of a member. Beside each lies its
// digest. Digests were computed in another way when the first one was made, and its
// rows are those of the second.
var golden = []string{"first", "format1"}

// goldenCopy returns a copy of a directory in testdata, and its digest.
func goldenCopy(t *testing.T, name string) (dir string, want repo.Digest) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	return dir, want
}

func TestStoresOfOlderReleasesOpenWithWhatTheyHeld(t *testing.T) {
	for _, name := range golden {
		dir, want := goldenCopy(t, name)
		s := openNotes(t, Config{Dir: dir, Logger: quiet})
		got, err := s.Digest(t.Context())
		if err != nil || got.Sum != want.Sum || got.Rev != want.Rev {
			t.Errorf("%s: revision %d, sum %s; want %d, %s; %v", name, got.Rev, got.Sum, want.Rev, want.Sum, err)
		}
		// The names of the first ones do not tell how much log may be dropped.
		kept := s.Driver().(*Store).snapshots.kept
		if len(kept) != keptSnapshots || kept[1].index == 0 {
			t.Errorf("%s: the snapshots are %v", name, kept)
		}
		if err := addNotes(t.Context(), s, 5000, 5010); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The files alone must do, without the log behind them.
func TestSnapshotFilesOfOlderReleasesAreRead(t *testing.T) {
	for _, name := range golden {
		dir, _ := goldenCopy(t, name)
		snaps, err := filepath.Glob(filepath.Join(dir, snapshotDir, "*"+snapSuffix))
		if err != nil || len(snaps) == 0 {
			t.Fatalf("%s: snapshots %v, %v", name, snaps, err)
		}
		var c Config
		c.Dir = dir
		if err := c.validate(); err != nil {
			t.Fatal(err)
		}
		m, err := readManifest(c.FS, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range snaps {
			snap, ok := parseSnapName(filepath.Base(file))
			if !ok {
				t.Fatalf("%s is no name of a snapshot", file)
			}
			r, _, _, err := readSnapshot(c, snap, m.ID, noteSchema.Driver())
			if err != nil || !snap.fits(r) || r.tables[0].len() == 0 {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestAMemberOfAnOlderReleaseOpensWithWhatItHeld(t *testing.T) {
	dir, want := goldenCopy(t, "format2")
	checkContent(t, inspected(t, dir), want)
	s := openNotes(t, memberOn(t, dir))
	got, err := s.Digest(t.Context())
	if err != nil || got.Sum != want.Sum || got.Rev != want.Rev {
		t.Errorf("revision %d, sum %s; want %d, %s; %v", got.Rev, got.Sum, want.Rev, want.Sum, err)
	}
	if err := addNotes(t.Context(), s, 5000, 5010); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
