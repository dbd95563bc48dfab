package digest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

func sumOf(rows ...string) (s Sum) {
	for _, r := range rows {
		s.Add([]byte(r))
	}
	return s
}

func TestASumIsTheSumOfTheHashesModulo2To256(t *testing.T) {
	want, modulus := new(big.Int), new(big.Int).Lsh(big.NewInt(1), 256)
	var got Sum
	for i := range 1000 {
		row := fmt.Append(nil, i)
		h := sha256.Sum256(row)
		got.Add(row)
		want.Add(want, new(big.Int).SetBytes(h[:])).Mod(want, modulus)
		if got.String() != fmt.Sprintf("%064x", want) {
			t.Fatalf("after %d rows the sum is %s, want %064x", i+1, got, want)
		}
	}
}

func TestASumDoesNotDependOnTheOrderNorOnRowsThatWereRemoved(t *testing.T) {
	rows := []string{"a", "b", "c", "d", "e", ""}
	want := sumOf(rows...)
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		shuffled := slices.Clone(rows)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		got := sumOf("x", "y")
		got.AddSum(sumOf(shuffled[:3]...))
		got.Remove([]byte("y"))
		got.AddSum(sumOf(shuffled[3:]...))
		got.Remove([]byte("x"))
		if got != want {
			t.Fatalf("%v: %s, want %s", shuffled, got, want)
		}
	}
	empty := sumOf("a")
	empty.Remove([]byte("a"))
	if empty != (Sum{}) {
		t.Errorf("the sum of no rows is %s", empty)
	}
}

func TestARowThatIsLostDoubledOrChangedChangesTheSum(t *testing.T) {
	seen := map[Sum]string{}
	for _, rows := range [][]string{{}, {""}, {"a"}, {"a", "a"}, {"a", "b"}, {"ab"}, {"a", "b", "b"}, {"a", "c"}} {
		sum := sumOf(rows...)
		if other, ok := seen[sum]; ok {
			t.Errorf("%q and %s have the same sum", rows, other)
		}
		seen[sum] = fmt.Sprintf("%q", rows)
	}
}

func TestTheWholeDependsOnNamesAndWhichTableHoldsARow(t *testing.T) {
	a, b := sumOf("a"), sumOf("b")
	seen := map[Sum]int{}
	for i, whole := range []Sum{
		Whole(nil, nil),
		Whole([]string{"t"}, []Sum{a}),
		Whole([]string{"u"}, []Sum{a}),
		Whole([]string{"t", "u"}, []Sum{a, b}),
		Whole([]string{"t", "u"}, []Sum{b, a}),
		Whole([]string{"t", "u"}, []Sum{a, {}}),
	} {
		if other, ok := seen[whole]; ok {
			t.Errorf("cases %d and %d have the same sum", other, i)
		}
		seen[whole] = i
	}
}

func TestASumIsReadAsItIsPrinted(t *testing.T) {
	want := sumOf("a", "b")
	text, err := json.Marshal(want)
	if err != nil || string(text) != `"`+want.String()+`"` {
		t.Fatalf("%s, %v", text, err)
	}
	var got Sum
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{"", "ab", want.String()[1:] + "x"} {
		if err := got.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a sum", bad)
		}
	}
}

func TestAddingARowDoesNotAllocate(t *testing.T) {
	row := make([]byte, 200)
	var s Sum
	if n := testing.AllocsPerRun(100, func() { s.Add(row); s.Remove(row); s.AddSum(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
