package port

import (
	"context"
	"errors"

	"trihold/repo/driver"
)

// sentinels are the errors that errors.Is finds on the other side too. Their
// numbers, counted from 1, are sent: append only.
var sentinels = []error{
	driver.ErrNotFound,
	driver.ErrExists,
	driver.ErrInvalid,
	driver.ErrTooLarge,
	driver.ErrConflict,
	driver.ErrUncertain,
	driver.ErrReadOnly,
	driver.ErrMoved,
	driver.ErrUnavailable,
	driver.ErrCompacted,
	driver.ErrCorrupt,
	driver.ErrClosed,
	driver.ErrRefusedBefore,
	context.Canceled,
	context.DeadlineExceeded,
}

// A fault is sent as a tree. Each node begins with its form.
const (
	faultNone     = iota // no error
	faultSentinel        // number, text
	faultDetail          // op, table, index, key, kind, cause: a driver.Error
	faultRedirect        // leader, ID
	faultText            // text, count and numbers of the sentinels in it, the detail in it
)

// maxFaultDepth bounds the tree.
const maxFaultDepth = 8

// A remoteError is an error of another node that has no form of its own.
type remoteError struct {
	text string
	in   []error // what errors.Is and errors.As find in it
}

func (e *remoteError) Error() string   { return e.text }
func (e *remoteError) Unwrap() []error { return e.in }

func encodeFault(err error) []byte {
	b := appendFault(nil, err, maxFaultDepth)
	if len(b) > MaxPayload {
		b = appendFault(nil, driver.Failed("answer", driver.ErrUnavailable, errors.New("the error is too long to be sent")), maxFaultDepth)
	}
	return b
}

func appendFault(b []byte, err error, depth int) []byte {
	if err == nil {
		return append(b, faultNone)
	}
	for i, s := range sentinels {
		if err == s {
			return appendString(append(b, faultSentinel, byte(i+1)), s.Error())
		}
	}
	if depth > 0 {
		switch e := err.(type) {
		case *driver.Error:
			b = append(b, faultDetail)
			for _, s := range []string{e.Op, e.Table, e.Index, e.Key} {
				b = appendString(b, s)
			}
			b = appendFault(b, e.Kind, depth-1)
			return appendFault(b, e.Cause, depth-1)
		case *Redirect:
			return appendString(appendString(append(b, faultRedirect), e.Leader), e.ID)
		}
	}
	b = appendString(append(b, faultText), err.Error())
	count := len(b)
	b = append(b, 0)
	for i, s := range sentinels {
		if errors.Is(err, s) {
			b = append(b, byte(i+1))
			b[count]++
		}
	}
	var redirect *Redirect
	var detail *driver.Error
	switch {
	case depth <= 0:
	case errors.As(err, &redirect) && redirect != err:
		return appendFault(b, redirect, depth-1)
	case errors.As(err, &detail) && detail != err:
		return appendFault(b, detail, depth-1)
	}
	return append(b, faultNone)
}

// decodeFault returns the error of the other node.
func decodeFault(b []byte) error {
	r := &reader{rest: b}
	err := readFault(r, maxFaultDepth+1) // the deepest text has an empty node in it
	if r.err != nil || err == nil {
		return driver.Failed("call", driver.ErrUnavailable, errors.New("the other node reports an error that cannot be read"))
	}
	return err
}

func readFault(r *reader, depth int) error {
	if depth < 0 {
		r.rest, r.err = nil, errShort
		return nil
	}
	switch r.byte() {
	case faultNone:
		return nil
	case faultSentinel:
		n, text := r.byte(), r.string()
		if s := sentinel(n); s != nil {
			return s
		}
		return &remoteError{text: text} // of a later version
	case faultDetail:
		e := &driver.Error{Op: r.string(), Table: r.string(), Index: r.string(), Key: r.string()}
		e.Kind = readFault(r, depth-1)
		e.Cause = readFault(r, depth-1)
		return e
	case faultRedirect:
		return &Redirect{Leader: r.string(), ID: r.string()}
	case faultText:
		e := &remoteError{text: r.string()}
		for _, n := range r.bytes(int(r.byte())) {
			if s := sentinel(n); s != nil {
				e.in = append(e.in, s)
			}
		}
		if inner := readFault(r, depth-1); inner != nil {
			e.in = append(e.in, inner)
		}
		return e
	}
	r.rest, r.err = nil, errShort
	return nil
}

// sentinel returns the one of this number, or nil.
func sentinel(n byte) error {
	if n == 0 || int(n) > len(sentinels) {
		return nil
	}
	return sentinels[n-1]
}
