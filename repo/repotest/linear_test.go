package repotest

import (
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"trihold/repo/driver"
)

// The check of concurrent histories is itself checked: it accepts what a right
// store has answered, and rejects the same with one answer changed.
func TestAChangedConcurrentHistoryIsRejected(t *testing.T) {
	f := openFixture(t, modelHarness(func(m *Model) driver.Store { return m }), caseTimeout)
	good := recordOperations(&T{TB: t, ctx: t.Context(), driver: f.driver, store: f.store}, 4, 50)
	verdict := func(ops []porcupine.Operation) porcupine.CheckResult {
		return porcupine.CheckOperationsTimeout(pairModel, ops, 20*time.Second)
	}
	if got := verdict(good); got != porcupine.Ok {
		t.Fatalf("a good history is %v:\n%s", got, describeIllegal(good))
	}
	changed := 0
	for i, o := range good {
		in, out := o.Input.(pairInput), o.Output.(pairOutput)
		switch in.kind {
		case pairRead, pairWalk, pairSwap:
			out.values[in.which] = -1 // never written
		case pairCAS:
			if !out.done {
				continue // it could have failed at another moment
			}
			in.value = -1 // what it wrote is lost
			if !isRead(good, o.Input.(pairInput).value) {
				continue
			}
		default:
			continue
		}
		bad := slices.Clone(good)
		bad[i].Input, bad[i].Output = in, out
		if got := verdict(bad); got != porcupine.Illegal {
			t.Errorf("with answer %d changed from %+v to %+v the history is %v", i, o, bad[i], got)
		}
		if changed++; changed == 40 {
			break
		}
	}
	if changed < 20 {
		t.Errorf("only %d changes were tried", changed)
	}
}

// A read that is answered with an old value is illegal if another read has
// already returned the new one.
func TestAStaleReadIsRejected(t *testing.T) {
	op := func(call, ret int64, in pairInput, out pairOutput) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: ret}
	}
	write := op(1, 10, pairInput{kind: pairWrite, value: 5}, pairOutput{})
	seen := pairOutput{values: [2]int64{5, 0}}
	for _, c := range []struct {
		what string
		ops  []porcupine.Operation
		want porcupine.CheckResult
	}{
		{"old value during the write", []porcupine.Operation{write, op(2, 3, pairInput{}, pairOutput{}), op(4, 5, pairInput{}, seen)}, porcupine.Ok},
		{"old value after the new one was seen", []porcupine.Operation{write, op(2, 3, pairInput{}, seen), op(4, 5, pairInput{}, pairOutput{})}, porcupine.Illegal},
		{"old value after the write", []porcupine.Operation{write, op(11, 12, pairInput{}, pairOutput{})}, porcupine.Illegal},
	} {
		if got := porcupine.CheckOperationsTimeout(pairModel, c.ops, time.Second); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// isRead reports whether a value was returned by a read.
func isRead(ops []porcupine.Operation, value int64) bool {
	return slices.ContainsFunc(ops, func(o porcupine.Operation) bool {
		values := o.Output.(pairOutput).values
		return slices.Contains(values[:], value)
	})
}
