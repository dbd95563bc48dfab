package history

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAHistoryReadsBackAsItWasWritten(t *testing.T) {
	h := &History{Seed: 7, Setup: Setup{Registers: 1, Accounts: 2, Balance: 10, Lists: 1, Items: 4, Groups: 2, Names: 3}, Ops: []Op{
		{ID: 1, Kind: Write, Key: 0, Value: 5, Begin: 1, End: 2, Outcome: OK},
		{ID: 2, Kind: Lists, Steps: []Step{{List: 0}, {List: 0, Append: 9}}, Begin: 3, End: Never, Outcome: Unknown, Error: "killed"},
		{ID: 3, Kind: CAS, Expect: 5, Value: 6, Saw: []int64{4}, Refused: true, Begin: 4, End: 9, Outcome: OK, Rev: 3},
	}}
	path := filepath.Join(t.TempDir(), "history.gz")
	if err := h.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, got); diff != "" {
		t.Error(diff)
	}
	for i, want := range []bool{true, true, false} {
		if h.Ops[i].Wrote() != want {
			t.Errorf("operation %d: Wrote() is %v", h.Ops[i].ID, !want)
		}
	}
}
