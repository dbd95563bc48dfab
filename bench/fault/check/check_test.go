package check

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"trihold/repo/repotest"
)

func TestAStoreThatIsRightPassesEveryCheck(t *testing.T) {
	seed := repotest.Seed(t)
	for i := range uint64(400) {
		s := small(10 + int(i%4)*40)
		s.nodes = 1 + int(i%3)
		e := simulate(rand.New(rand.NewPCG(seed, i)), s)
		for _, v := range Run(t.Context(), e) {
			if v.Result != OK {
				t.Fatalf("history %d of seed %d: %s is %s: %s", i, seed, v.Checker, v.Result, v.Detail)
			}
			if v.Lost != 0 || v.LostFor != 0 {
				t.Fatalf("history %d of seed %d: %s has lost %d", i, seed, v.Checker, v.Lost)
			}
		}
	}
}

func TestTenThousandOperationsAreChecked(t *testing.T) {
	seed := repotest.Seed(t)
	e := simulate(rand.New(rand.NewPCG(seed, 0)), large(10_000))
	for _, v := range Run(t.Context(), e) {
		t.Logf("%-9s %-7s %6d ops in %v %s", v.Checker, v.Result, v.Ops, v.Took.Round(time.Millisecond), v.Detail)
		if v.Result != OK {
			t.Errorf("%s is %s: %s", v.Checker, v.Result, v.Detail)
		}
		if v.Ops < 500 {
			t.Errorf("%s judged only %d operations", v.Checker, v.Ops)
		}
	}
}

func TestNothingIsProvedWithoutTimeOrFinalContent(t *testing.T) {
	e := simulate(rand.New(rand.NewPCG(1, 0)), small(40))
	ended, end := context.WithCancel(t.Context())
	end()
	for _, v := range Run(ended, e) {
		if v.Result != Unknown || v.Detail == "" {
			t.Errorf("without time %s is %s: %s", v.Checker, v.Result, v.Detail)
		}
	}
	e.Finals = nil
	for _, v := range Run(t.Context(), e) {
		if v.Result != Unknown || v.Detail == "" {
			t.Errorf("without final content %s is %s: %s", v.Checker, v.Result, v.Detail)
		}
	}
}
