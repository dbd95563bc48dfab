package repotest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"trihold/repo"
)

// Concurrent histories run on pairs of registers: items whose Order is the
// value. A pair is what a transaction may touch, and is checked by itself.

// A pairKind says what an operation does with a pair.
type pairKind int

const (
	pairRead  pairKind = iota // both values, in a View
	pairWalk                  // both values, by a walk of an index in an Update
	pairWrite                 // one value, blindly
	pairSwap                  // reads both, writes both
	pairCAS                   // reads both, writes one if it is what is expected
)

// A pairInput is what a client asks for.
type pairInput struct {
	pair     int
	kind     pairKind
	which    int // of the pair
	expected int64
	value    int64
}

// A pairOutput is what it was answered.
type pairOutput struct {
	values [2]int64 // as they were read
	done   bool     // of pairCAS
}

var pairModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		var parts [][]porcupine.Operation
		for _, o := range history {
			pair := o.Input.(pairInput).pair
			for len(parts) <= pair {
				parts = append(parts, nil)
			}
			parts[pair] = append(parts[pair], o)
		}
		return parts
	},
	Init: func() any { return [2]int64{} },
	Step: func(state, input, output any) (bool, any) {
		now, in, out := state.([2]int64), input.(pairInput), output.(pairOutput)
		switch in.kind {
		case pairRead, pairWalk:
			return out.values == now, now
		case pairWrite:
			now[in.which] = in.value
			return true, now
		case pairSwap:
			return out.values == now, [2]int64{now[1], now[0]}
		}
		right := out.values == now && out.done == (now[in.which] == in.expected)
		if out.done {
			now[in.which] = in.value
		}
		return right, now
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// recordOperations runs clients against pairs of registers.
func recordOperations(t *T, clients, each int) []porcupine.Operation {
	t.Helper()
	const pairs = 3
	seed := Seed(t)
	for p := range pairs {
		insert(t, items, Item{ID: registerID(p, 0), Group: fmt.Sprint(p)}, Item{ID: registerID(p, 1), Group: fmt.Sprint(p)})
	}
	var mu sync.Mutex
	var all []porcupine.Operation
	began := time.Now()
	t.parallel(clients, func(client int) error {
		rnd := rand.New(rand.NewPCG(seed, uint64(client)))
		var last pairOutput
		for n := range each {
			in := pairInput{pair: rnd.IntN(pairs), kind: pairKind(rnd.IntN(5)), which: rnd.IntN(2), value: int64(client*each + n + 1)}
			if rnd.IntN(4) > 0 {
				in.expected = last.values[in.which] // so that some comparisons succeed
			}
			call := time.Since(began)
			out, err := operate(t, in)
			if err != nil {
				return fmt.Errorf("%+v: %w", in, err)
			}
			last = out
			mu.Lock()
			all = append(all, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(call), Return: int64(time.Since(began))})
			mu.Unlock()
		}
		return nil
	})
	return all
}

func registerID(pair, which int) string { return fmt.Sprint(pair, which) }

// operate does one operation.
func operate(t *T, in pairInput) (out pairOutput, err error) {
	read := func(tx repo.Reader) error {
		for which := range out.values {
			row, err := items.Get(tx, registerID(in.pair, which))
			if err != nil {
				return err
			}
			out.values[which] = row.Order
		}
		return nil
	}
	register := func(which int, value int64) Item {
		return Item{ID: registerID(in.pair, which), Group: fmt.Sprint(in.pair), Order: value}
	}
	switch in.kind {
	case pairRead:
		err = t.store.View(t.ctx, func(tx *repo.ReadTx) error { return read(tx) })
	case pairWalk:
		err = t.store.Update(t.ctx, func(tx *repo.Tx) error {
			for row, err := range itemsByGroup.Eq(fmt.Sprint(in.pair)).Rows(tx) {
				if err != nil {
					return err
				}
				out.values[row.ID[len(row.ID)-1]-'0'] = row.Order
			}
			return nil
		})
	case pairWrite:
		err = t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Put(tx, register(in.which, in.value)) })
	case pairSwap:
		err = t.store.Update(t.ctx, func(tx *repo.Tx) error {
			return errors.Join(read(tx), items.Put(tx, register(0, out.values[1])), items.Put(tx, register(1, out.values[0])))
		})
	case pairCAS:
		err = t.store.Update(t.ctx, func(tx *repo.Tx) error {
			err := read(tx)
			if out.done = out.values[in.which] == in.expected; err != nil || !out.done {
				return err
			}
			return items.Put(tx, register(in.which, in.value))
		})
	}
	return out, err
}

// linearCheckTime bounds the search for an order of the operations.
const linearCheckTime = 30 * time.Second

// mustBeLinearisable fails the test unless the operations can be put into an
// order that explains them.
func mustBeLinearisable(t testing.TB, ops []porcupine.Operation) {
	t.Helper()
	switch porcupine.CheckOperationsTimeout(pairModel, ops, linearCheckTime) {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Errorf("not proved: no order of the %d operations was found, nor excluded, in %v", len(ops), linearCheckTime)
	default:
		t.Errorf("no order of these operations explains their answers:\n%s", describeIllegal(ops))
	}
}

// describeIllegal returns the operations of the pairs that have no order, by
// time of call.
func describeIllegal(ops []porcupine.Operation) string {
	text := ""
	for _, part := range pairModel.Partition(ops) {
		if porcupine.CheckOperationsTimeout(pairModel, part, linearCheckTime) == porcupine.Ok {
			continue
		}
		slices.SortFunc(part, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
		for _, o := range part {
			text += fmt.Sprintf("client %d, %v to %v: %s\n", o.ClientId, time.Duration(o.Call), time.Duration(o.Return), pairModel.DescribeOperation(o.Input, o.Output))
		}
	}
	return text
}
