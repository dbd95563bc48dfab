package traffic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"trihold/bench/fault/history"
	"trihold/repo"
)

// Execute runs an operation as one transaction, and sets its outcome and what it
// saw.
func Execute(ctx context.Context, s *repo.Store, setup history.Setup, o *history.Op) {
	execute(ctx, s, setup, o, s.View)
}

// ExecuteStale is Execute with reads of what a store has at hand, however old: a
// negative control.
func ExecuteStale(ctx context.Context, s *repo.Store, setup history.Setup, o *history.Op) {
	execute(ctx, s, setup, o, func(ctx context.Context, fn func(*repo.ReadTx) error) error { return s.ViewStale(ctx, anyAge, fn) })
}

// anyAge is older than any store of a cell.
const anyAge = time.Hour

func execute(ctx context.Context, s *repo.Store, setup history.Setup, o *history.Op, view func(context.Context, func(*repo.ReadTx) error) error) {
	x := &execution{op: o, setup: setup}
	var err error
	if o.Wrote() {
		err = s.Update(ctx, x.update)
	} else {
		err = view(ctx, func(tx *repo.ReadTx) error {
			err := x.read(tx)
			o.Rev = int64(tx.Rev())
			return err
		})
	}
	switch {
	case err == nil:
		o.Outcome = history.OK
	case errors.Is(err, errRefused), o.Kind == history.Claim && errors.Is(err, repo.ErrExists):
		o.Outcome, o.Refused = history.OK, true
	case errors.Is(err, repo.ErrUncertain):
		o.Outcome, o.Error = history.Unknown, oneLine(err)
	default:
		o.Outcome, o.Error = history.Failed, oneLine(err)
	}
	if o.Outcome != history.OK {
		o.Saw, o.Rev = nil, 0
		for i := range o.Steps {
			o.Steps[i].Saw = nil
		}
	}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// errRefused ends a transaction that has found that it has nothing to do.
var errRefused = errors.New("refused")

// An execution is one run of an operation. Its methods may run more than once.
type execution struct {
	op    *history.Op
	setup history.Setup
}

func (x *execution) update(tx *repo.Tx) error {
	o := x.op
	o.Saw, o.Rev = nil, 0
	err := x.write(tx)
	if errors.Is(err, errRefused) {
		o.Rev = int64(tx.Rev())
		return err
	}
	if err != nil {
		return err
	}
	return ledger.Insert(tx, entry{ID: o.ID, Client: int64(o.Client)})
}

func (x *execution) write(tx *repo.Tx) error {
	o := x.op
	switch o.Kind {
	case history.Write:
		return registers.Put(tx, register{o.Key, o.Value})
	case history.CAS:
		r, err := registers.Get(tx, o.Key)
		if err != nil && !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		if o.Saw = []int64{r.Value}; r.Value != o.Expect {
			return errRefused
		}
		return registers.Put(tx, register{o.Key, o.Value})
	case history.Transfer:
		return x.transfer(tx)
	case history.Lists:
		return x.steps(tx, func(l list) error { return lists.Put(tx, l) })
	case history.Claim:
		return claims.Insert(tx, claim{o.ID, o.Name})
	case history.Move:
		return items.Put(tx, item{ID: o.Key, Group: o.Value, Op: o.ID, Pad: pad(x.setup)})
	case history.Note:
		return nil
	}
	return fmt.Errorf("no such kind of operation: %q", o.Kind)
}

// pad makes items long enough for some to share no page.
func pad(setup history.Setup) string {
	if setup.Pad > 0 {
		return strings.Repeat("i", setup.Pad)
	}
	return strings.Repeat("item ", 40)
}

func (x *execution) transfer(tx *repo.Tx) error {
	o := x.op
	from, err := accounts.Get(tx, o.Key)
	if err != nil {
		return err
	}
	to, err := accounts.Get(tx, o.Other)
	if err != nil {
		return err
	}
	if o.Saw = []int64{from.Balance, to.Balance}; from.Balance < o.Value {
		return errRefused
	}
	from.Balance -= o.Value
	to.Balance += o.Value
	if err := accounts.Put(tx, from); err != nil {
		return err
	}
	return accounts.Put(tx, to)
}

// steps runs the steps of an operation of kind Lists.
func (x *execution) steps(tx repo.Reader, put func(list) error) error {
	for i := range x.op.Steps {
		st := &x.op.Steps[i]
		l, err := lists.Get(tx, st.List)
		if err != nil && !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		if st.Append == 0 {
			st.Saw = l.Values
			continue
		}
		l.ID, l.Values = st.List, append(slices.Clip(l.Values), st.Append)
		if err := put(l); err != nil {
			return err
		}
	}
	return nil
}

func (x *execution) read(tx *repo.ReadTx) error {
	o := x.op
	o.Saw = nil
	switch o.Kind {
	case history.Read:
		r, err := registers.Get(tx, o.Key)
		if err != nil && !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		o.Saw = []int64{r.Value}
	case history.Audit:
		for a, err := range accounts.All().Rows(tx) {
			if err != nil {
				return err
			}
			o.Saw = append(o.Saw, a.Balance)
		}
	case history.Group:
		for i, err := range itemsByGroup.Eq(o.Value).Rows(tx) {
			if err != nil {
				return err
			}
			o.Saw = append(o.Saw, i.ID)
		}
	case history.Lists:
		return x.steps(tx, nil)
	default:
		return fmt.Errorf("no such kind of operation: %q", o.Kind)
	}
	return nil
}
