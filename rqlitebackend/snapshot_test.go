package rqlitebackend

import (
	"errors"
	"strings"
	"testing"

	"trihold/repo/driver"
)

// No other backend reads a snapshot in several requests, each of another revision.

func TestASnapshotGoesOnExactlyAsLongAsWhatItHasReadIsUnchanged(t *testing.T) {
	s := openBank(t)
	const rows = 3 * firstPage
	var writes []driver.Write
	for i := range rows {
		writes = append(writes, noteWrite(driver.Put, "walked", int64(i), "x"))
	}
	mustCommit(t, s, append(writes, accountWrite(driver.Put, "read", "read@x"), accountWrite(driver.Put, "other", "other@x"))...)
	key := func(n int64) driver.Key { return noteWrite(driver.Delete, "walked", n, "").Key }

	for _, c := range []struct {
		name     string
		reverse  bool
		write    driver.Write
		conflict bool
	}{
		{"nothing that was read", false, accountWrite(driver.Put, "other", "other2@x"), false},
		{"the row that was read", false, accountWrite(driver.Put, "read", "read2@x"), true},
		{"a row that was found absent", false, accountWrite(driver.Insert, "absent", "absent@x"), true},
		{"a row that was walked over", false, noteWrite(driver.Put, "walked", 5, "y"), true},
		{"a row that will be walked over", false, noteWrite(driver.Put, "walked", rows-5, "y"), false},
		{"a row that will be walked over, in reverse", true, noteWrite(driver.Put, "walked", 5, "z"), false},
		{"a row that was walked over, in reverse", true, noteWrite(driver.Delete, "walked", rows-5, ""), true},
		{"a row inserted where was walked", true, noteWrite(driver.Insert, "walked", rows-5, "new"), true},
		{"a row inserted where will be walked", false, noteWrite(driver.Insert, "walked", rows, "new"), false},
	} {
		snap, err := s.Begin(t.Context(), driver.Mode{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := snap.Get(t.Context(), accountTable, accountKey("read")); err != nil {
			t.Fatal(err)
		}
		if _, err := snap.Get(t.Context(), accountTable, accountKey("absent")); !errors.Is(err, driver.ErrNotFound) && c.name == "a row that was found absent" {
			t.Fatal(err)
		}
		seen := 0
		var rev driver.Rev
		var last error
		for row, err := range snap.Scan(t.Context(), driver.Span{Table: noteTable, Reverse: c.reverse}) {
			if last = err; err != nil {
				break
			}
			if seen++; seen == 1 {
				rev = mustCommit(t, s, c.write)
			}
			if row.Rev > snap.Rev() {
				t.Errorf("%s: a row of revision %d in a snapshot of revision %d", c.name, row.Rev, snap.Rev())
			}
		}
		switch {
		case c.conflict && !errors.Is(last, driver.ErrConflict):
			t.Errorf("%s was changed: got %v, want ErrConflict", c.name, last)
		case !c.conflict && last != nil:
			t.Errorf("%s was changed: got %v", c.name, last)
		case !c.conflict && snap.Rev() != rev:
			t.Errorf("%s was changed: the snapshot is at revision %d, want %d", c.name, snap.Rev(), rev)
		}
		if err := snap.Close(); err != nil {
			t.Error(err)
		}
	}
	if rowRev(t, s, noteTable, key(rows)) == 0 {
		t.Error("the last row is missing")
	}
}

func TestAWalkGivesEveryRowOnceWhateverThePages(t *testing.T) {
	s := openBank(t)
	big := strings.Repeat("x", 20_000) // so large that pages shrink
	const rows = 700
	for from := 0; from < rows; from += 100 {
		var writes []driver.Write
		for i := from; i < from+100; i++ {
			text := "small"
			if i%3 == 0 {
				text = big
			}
			writes = append(writes, noteWrite(driver.Put, "n", int64(i), text))
		}
		mustCommit(t, s, writes...)
	}
	for _, limit := range []int{0, 1, firstPage - 1, firstPage, firstPage + 1, 2*firstPage + 50, rows, rows + 1} {
		for _, reverse := range []bool{false, true} {
			snap, err := s.Begin(t.Context(), driver.Mode{})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for row, err := range snap.Scan(t.Context(), driver.Span{Table: noteTable, Limit: limit, Reverse: reverse}) {
				if err != nil {
					t.Fatal(err)
				}
				want := n
				if reverse {
					want = rows - 1 - n
				}
				live, err := noteTable.Decode(row.Data)
				if err != nil {
					t.Fatal(err)
				}
				if got := live.(*keyedNote); got.Number != int64(want) || (want%3 == 0) != (got.Text == big) {
					t.Fatalf("limit %d, reverse %v: row %d is number %d", limit, reverse, n, got.Number)
				}
				n++
			}
			want := rows
			if 0 < limit && limit < rows {
				want = limit
			}
			if n != want {
				t.Errorf("limit %d, reverse %v: %d rows, want %d", limit, reverse, n, want)
			}
			if err := snap.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
