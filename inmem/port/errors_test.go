package port_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// sentinels of the contract, and of contexts.
var sentinels = []error{
	driver.ErrNotFound, driver.ErrExists, driver.ErrInvalid, driver.ErrTooLarge, driver.ErrConflict, driver.ErrUncertain, driver.ErrReadOnly,
	driver.ErrMoved, driver.ErrUnavailable, driver.ErrCompacted, driver.ErrCorrupt, driver.ErrClosed, driver.ErrRefusedBefore,
	context.Canceled, context.DeadlineExceeded,
}

func TestErrorsReadAndCompareTheSameOnTheOtherSide(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, _, to := pair(t, one, two)
	collision := &driver.Error{Op: "insert", Table: "users", Index: "email", Key: "7", Kind: driver.ErrExists, Cause: errors.New("taken by 8")}
	errs := append([]error{
		errors.New("plain"),
		collision,
		fmt.Errorf("forward: %w", collision),
		driver.Failed("commit", driver.ErrConflict, driver.ErrRefusedBefore),
		driver.Failed("commit", nil, fmt.Errorf("wait: %w", context.DeadlineExceeded)),
		driver.Failed("commit", driver.ErrUnavailable, collision),
		driver.Failed("commit", errors.New("a kind of its own"), nil),
		errors.Join(driver.ErrClosed, driver.ErrUncertain),
		fmt.Errorf("call n3: %w", driver.ErrUnavailable),
	}, sentinels...)
	deep := errors.New("deep")
	for range 50 {
		deep = driver.Failed("again", driver.ErrMoved, deep)
	}
	for _, want := range append(errs, deep) {
		two.err = want
		_, got := p.Call(soon(t), to, fail, nil)
		if got == nil || got.Error() != want.Error() {
			t.Fatalf("%q arrives as %q", want, got)
		}
		for _, s := range sentinels {
			if errors.Is(got, s) != errors.Is(want, s) {
				t.Errorf("%q: errors.Is of %q is %v", want, s, errors.Is(got, s))
			}
		}
		var before, after *driver.Error
		if errors.As(want, &before) != errors.As(got, &after) {
			t.Errorf("%q: only one side has the detail", want)
		} else if before != nil && (before.Op != after.Op || before.Table != after.Table || before.Index != after.Index || before.Key != after.Key) {
			t.Errorf("%q: the detail is %+v", want, after)
		}
	}
}

func TestARedirectReachesTheCaller(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, _, to := pair(t, one, two)
	for _, r := range []*port.Redirect{{}, {Leader: "127.0.0.1:7003", ID: "n3/cccc"}} {
		for _, sent := range []error{r, fmt.Errorf("commit: %w", r)} {
			two.err = sent
			_, err := p.Call(soon(t), to, fail, nil)
			var got *port.Redirect
			if !errors.As(err, &got) || *got != *r || err.Error() != sent.Error() || !errors.Is(err, driver.ErrUnavailable) {
				t.Errorf("%v arrives as %v", sent, err)
			}
		}
	}
}

// The other node's own trouble with a third one says nothing about this call.
func TestLostAndNotSentDoNotTravel(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, _, to := pair(t, one, two)
	for _, inner := range []error{port.ErrLost, port.ErrNotSent} {
		two.err = fmt.Errorf("call n3: %w", inner)
		_, err := p.Call(soon(t), to, fail, nil)
		if err == nil || errors.Is(err, inner) || err.Error() != two.err.Error() {
			t.Errorf("got %v", err)
		}
	}
}
