package repotest

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trihold/repo"
)

var historyCases = []testCase{
	{
		name: "random histories are answered as the model answers them",
		why:  "Cases are what somebody has thought of. The history that is printed is the smallest that shows the difference; rapid prints how to run it again.",
		check: func(t *T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			rapid.Check(t, func(rt *rapid.T) {
				turns := rapid.IntRange(1, 20).Draw(rt, "turns")
				h := rapid.Custom(func(rt *rapid.T) History {
					return generateHistory(func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "choice") }, turns)
				}).Draw(rt, "history")
				t.empty()
				if diff := h.Run(ctx, t.store, nil).Diff(h.runOnModel(ctx)); diff != "" {
					rt.Fatal(diff)
				}
			})
		},
	},
	{
		name: "a random history goes on after restarts",
		why:  "What a store has recovered must be answered from as before.",
		check: func(t *T) {
			seed := Seed(t)
			dir := t.TempDir()
			h := NewHistory(seed, 120)
			for i := range h.turns { // two restarts: each may cost seconds
				switch {
				case i == 40 || i == 80:
					h.turns[i] = turn{kind: turnReopen, what: "reopen"}
				case h.turns[i].kind == turnReopen:
					h.turns[i].kind = turnDigest
				}
			}
			own := *t
			own.driver, own.store = openStore(t, t.harness, dir)
			got := h.Run(t.ctx, own.store, func() *repo.Store {
				own.driver, own.store = openStore(t, t.harness, dir)
				return own.store
			})
			if diff := got.Diff(h.runOnModel(t.ctx)); diff != "" {
				t.Fatalf("seed %d: %s", seed, diff)
			}
			Verify(t, own.driver, Schema.Driver())
		},
		reopens: true,
	},
	{
		name: "concurrent histories are linearisable",
		why:  "Every operation must appear to happen at one moment between its call and its return.",
		check: func(t *T) {
			for _, clients := range []int{2, 6} {
				t.empty()
				ops := recordOperations(t, clients, 180/clients)
				mustBeLinearisable(t, ops)
			}
		},
	},
}

// seedVariable is the environment variable that repeats a random test.
const seedVariable = "TRIHOLD_SEED"

// Seed returns the seed of a random test, from the environment variable
// TRIHOLD_SEED or else a new one, and prints it.
func Seed(t testing.TB) uint64 {
	t.Helper()
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s is not a seed: %v", seedVariable, err)
		}
		return seed
	}
	seed := rand.Uint64()
	t.Logf("seed %d; to repeat: %s=%d", seed, seedVariable, seed)
	return seed
}

// runOnModel returns the transcript that is right.
func (h History) runOnModel(ctx context.Context) Transcript {
	m := NewModel()
	open := func() *repo.Store {
		s, err := repo.New(ctx, m, Schema)
		if err != nil {
			panic(err) // the model refuses only what it cannot hold
		}
		return s
	}
	return h.Run(ctx, open(), func() *repo.Store {
		m = m.Reopen()
		return open()
	})
}
