package sqlstmt

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"trihold/repo/driver"
)

func TestAChangeReadsAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schema := drawSchema(t)
		l, err := New(schema, Bound)
		if err != nil {
			t.Fatal(err)
		}
		want := driver.Change{Rev: 7, ID: driver.CommitID{1, 2, 3}, Keys: []driver.ChangedKey{}}
		writes := drawWrites(t, schema.Tables[0])
		for _, w := range writes {
			want.Keys = append(want.Keys, driver.ChangedKey{Table: w.Table, Key: w.Key, Deleted: w.Kind == driver.Delete})
		}
		touched, err := AppendTouched(nil, writes)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(touched) {
			t.Fatalf("not JSON: %s", touched)
		}
		got, err := l.ReadChange(7, want.ID[:], string(touched))
		if err != nil {
			t.Fatal(err)
		}
		sameTable := cmp.Comparer(func(a, b *driver.Table) bool { return a == b })
		if diff := cmp.Diff(want, got, sameTable); diff != "" {
			t.Fatalf("%s\n%s", touched, diff)
		}
	})
}

func TestADamagedChangeIsCorrupt(t *testing.T) {
	l, err := New(exampleSchema(), Bound)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 16)
	if _, err := l.ReadChange(1, id, `[["put","runs","a"]]`); err != nil {
		t.Fatalf("a sound change: %v", err)
	}
	for _, touched := range []string{
		``, `{}`, `[["put"]]`, `[["put","runs"]]`, `[["put","runs",1]]`, `[["put","runs","a","b"]]`,
		`[["drop","runs","a"]]`, `[["put","gone","a"]]`, `[["put","order",1.5]]`, `[["put","steps","zz",1]]`,
	} {
		if _, err := l.ReadChange(1, id, touched); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("%s: %v", touched, err)
		}
	}
	if _, err := l.ReadChange(1, id[:15], `[]`); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("short ID: %v", err)
	}
}

func BenchmarkAppendTouched(b *testing.B) {
	runs := exampleSchema().Tables[0]
	w := []driver.Write{{Kind: driver.Put, Table: runs, Key: driver.Key(driver.AppendKeyText(nil, "user4213904123"))}}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = AppendTouched(buf[:0], w); err != nil {
			b.Fatal(err)
		}
	}
}
