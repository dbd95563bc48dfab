package wal

import (
	"errors"
	"testing"

	"trihold/internal/simdisk"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

func TestASurveyTellsWhatEachFileHoldsAndWhatIsWrongWithIt(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	c := Config{FS: disk, Dir: "/log", StoreID: StoreID{1}, SegmentSize: 16 << 10}
	l, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if _, err := l.Append(make([]byte, EntryHeader+200)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := Survey(c)
	if err != nil || len(sound.Segments) < 3 || sound.Tide != 40 || sound.TideDamage != nil {
		t.Fatalf("%+v, %v", sound, err)
	}
	next := uint64(1)
	for i, s := range sound.Segments {
		last := i == len(sound.Segments)-1
		if s.Damage != nil || s.Void || s.Torn > 0 || s.TornFloor || s.First != next || s.Last < s.First || s.Floor != s.Last || s.Followed == last || s.Size != c.SegmentSize {
			t.Errorf("segment %d: %+v", i, s)
		}
		next = s.Last + 1
	}
	if next != 41 {
		t.Errorf("the survey ends with entry %d", next-1)
	}
	damage := func(name string, at int64) Surveyed {
		t.Helper()
		copied := disk.Clone()
		b, err := vfs.ReadFile(copied, "/log/"+name)
		if err != nil {
			t.Fatal(err)
		}
		b[at] ^= 1
		if err := vfs.WriteFile(copied, "/log/"+name, b); err != nil {
			t.Fatal(err)
		}
		c.FS = copied
		found, err := Survey(c)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	second := sound.Segments[1]
	for what, at := range map[string]int64{"header": 33, "first entry": firstEntry + 40, "last entry": second.Used - 20} {
		found := damage(second.File, at)
		if s := found.Segments[1]; !errors.Is(s.Damage, driver.ErrCorrupt) {
			t.Errorf("%s: %+v", what, s)
		}
		if found.Segments[0].Damage != nil || found.Segments[2].Damage != nil {
			t.Errorf("%s: the damage is found in other files, too", what)
		}
	}
	if found := damage(second.File, block+9); !found.Segments[1].TornFloor || found.Segments[1].Damage != nil {
		t.Errorf("floor: %+v", found.Segments[1])
	}
	if found := damage(tideName, 9); !errors.Is(found.TideDamage, driver.ErrCorrupt) || found.Tide != 0 {
		t.Errorf("tide: %+v", found)
	}
}
