package inmem

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trihold/internal/vfs"
	"trihold/repo"
	"trihold/repo/driver"
)

// memberOn is a member of a cluster of one in a directory, with small files.
func memberOn(t *testing.T, dir string) Config {
	t.Helper()
	return Config{Dir: dir, Class: driver.Quorum, SegmentBytes: 64 << 10, SnapshotBytes: 8 << 10, Logger: quiet,
		Cluster: ClusterConfig{Node: "n1", Listen: freeAddress(t), Election: 200 * time.Millisecond}}
}

// memberDirectory makes the directory of a member with snapshots and log behind them,
// and returns its digest.
func memberDirectory(t *testing.T, dir string) (d repo.Digest) {
	t.Helper()
	for round := range int64(3) {
		s := openNotes(t, memberOn(t, dir))
		err := addNotes(t.Context(), s, round*40, round*40+60)
		if err == nil {
			err = s.Driver().(*Store).SnapshotNow(t.Context())
		}
		if err == nil {
			err = addNotes(t.Context(), s, 1000+round, 1003+round)
		}
		if err == nil {
			d, err = s.Digest(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestInspectingAMemberFindsWhatItServes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	want := memberDirectory(t, dir)
	in := inspected(t, dir)
	checkContent(t, in, want)
	if len(in.Findings) > 0 || in.Format != manifestFormat || len(in.Snapshots) != keptSnapshots || len(in.Log) == 0 {
		t.Errorf("%+v", in)
	}
	if m := in.Member; m.Node != "n1" || m.Term == 0 || m.Epoch != 1 || len(m.Servers) != 1 || m.Servers[0].ID != "n1/"+m.ID || !m.Servers[0].Voter {
		t.Errorf("member %+v", m)
	}
	if c := in.Content; c.CertainIndex == 0 || c.CertainIndex >= c.LastIndex || c.CertainIndex != in.Snapshots[1].Index || in.Snapshots[1].Term == 0 {
		t.Errorf("content %+v, snapshots %+v", c, in.Snapshots)
	}
}

func TestInspectingAMemberFindsDamageInEachOfItsFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	want := memberDirectory(t, dir)
	for _, name := range filesOf(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		used := len(strings.TrimRight(string(content), "\x00"))
		unnoticed, step := 0, max(used/25, 1)
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
				unnoticed++
			}
		}
		// What is unused in the blocks at the front of a segment, and between the copies of
		// the hard state, may be anything.
		if unnoticed > 0 && !strings.HasSuffix(name, ".log") && filepath.Base(name) != raftStateFile {
			t.Errorf("%s: %d damages were not found", name, unnoticed)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
