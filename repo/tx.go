package repo

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"trihold/repo/driver"
)

// A ReadTx is the state that the closure of a View reads. It is used by one
// goroutine and ends with the closure.
type ReadTx struct {
	ctx  context.Context
	snap driver.Snapshot
	over bool       // the closure has returned
	rev  driver.Rev // of the snapshot, when over
	// failed is the first error of the backend. The closure may ignore it; the
	// transaction does not.
	failed error
	// tx is the Tx that this is part of; nil in a View.
	tx *Tx
}

// A Tx is the state that the closure of an Update reads and writes.
type Tx struct {
	ReadTx
	checks driver.Checks
	seen   map[rowRef]struct{} // rows that checks.Rows already holds
	writes writeBuffer
}

// A Reader is a *ReadTx or a *Tx.
type Reader interface {
	readTx() *ReadTx
}

type rowRef struct {
	table *driver.Table
	key   driver.Key
}

func (r *ReadTx) readTx() *ReadTx { return r }

// Rev returns the revision of the state. In a transaction that has not read
// anything yet it may be zero.
func (r *ReadTx) Rev() Rev { return r.snap.Rev() }

// usable returns the error that every further operation meets.
func (r *ReadTx) usable() error {
	if r.over {
		return &Error{Op: "read", Kind: ErrClosed, Cause: errors.New("the closure of this transaction has returned")}
	}
	return r.failed
}

// get returns a row, as this transaction sees it.
func (r *ReadTx) get(t *tableCore, key driver.Key) (driver.Row, error) {
	if err := r.usable(); err != nil {
		return driver.Row{}, err
	}
	if r.tx != nil {
		if w := r.tx.writes.find(t.def, key); w != nil {
			return w.row(t)
		}
	}
	row, err := r.base(t, key)
	if err != nil {
		return driver.Row{}, err
	}
	return row, nil
}

// base returns a row of the snapshot and, in an Update, checks it at commit.
func (r *ReadTx) base(t *tableCore, key driver.Key) (driver.Row, error) {
	row, err := r.snap.Get(r.ctx, t.def, key)
	absent := err != nil && errors.Is(err, driver.ErrNotFound)
	if err != nil && !absent {
		r.failed = err
		return driver.Row{}, &Error{Op: "get", Table: t.def.Name, Key: t.def.FormatKey(key), Cause: err}
	}
	if r.tx != nil {
		r.tx.checkRow(driver.RowCheck{Table: t.def, Key: key, Rev: row.Rev})
	}
	if absent {
		return driver.Row{}, &Error{Op: "get", Table: t.def.Name, Key: t.def.FormatKey(key), Kind: ErrNotFound}
	}
	return row, nil
}

// checkRow records that a row was read.
func (tx *Tx) checkRow(c driver.RowCheck) {
	ref := rowRef{c.Table, c.Key}
	if _, ok := tx.seen[ref]; ok {
		return
	}
	if tx.seen == nil {
		tx.seen = map[rowRef]struct{}{}
	}
	tx.seen[ref] = struct{}{}
	tx.checks.Rows = append(tx.checks.Rows, c)
}

// write buffers an insert or a put of the row at the pointer.
func (tx *Tx) write(t *tableCore, kind driver.WriteKind, row unsafe.Pointer) error {
	if err := tx.usable(); err != nil {
		return err
	}
	fail := func(kind driver.WriteKind, key driver.Key, err error) error {
		e := &Error{Op: kind.String(), Table: t.def.Name, Cause: err}
		if key != "" {
			e.Key = t.def.FormatKey(key)
		}
		return e
	}
	data, key, err := t.encodeRow(row)
	if err != nil {
		return fail(kind, "", err)
	}
	next := driver.Write{Kind: kind, Table: t.def, Key: key, Data: data}
	if old := tx.writes.find(t.def, key); old != nil {
		if kind == driver.Insert && old.Kind != driver.Delete {
			return &Error{Op: "insert", Table: t.def.Name, Key: t.def.FormatKey(key), Kind: ErrExists}
		}
		// What the row must have been before this transaction does not change:
		// a row inserted here and then put is still inserted.
		next.Kind = driver.Put
		if old.Kind == driver.Insert {
			next.Kind = driver.Insert
		}
	}
	if err := tx.writes.set(next); err != nil {
		return fail(kind, key, err)
	}
	return nil
}

// delete buffers a delete.
func (tx *Tx) delete(t *tableCore, key driver.Key) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if old := tx.writes.find(t.def, key); old != nil && old.Kind == driver.Insert {
		return tx.uninsert(t, key)
	}
	if err := tx.writes.set(driver.Write{Kind: driver.Delete, Table: t.def, Key: key}); err != nil {
		return &Error{Op: "delete", Table: t.def.Name, Key: t.def.FormatKey(key), Cause: err}
	}
	return nil
}

// uninsert deletes a row that this transaction inserted. The insert still
// claimed that the row was absent, and nothing would check that any more; so it
// is read now.
func (tx *Tx) uninsert(t *tableCore, key driver.Key) error {
	_, err := tx.base(t, key)
	switch {
	case err == nil:
		return &Error{Op: "insert", Table: t.def.Name, Key: t.def.FormatKey(key), Kind: ErrExists}
	case !errors.Is(err, ErrNotFound):
		return err
	}
	tx.writes.drop(t.def, key)
	return nil
}

// encodeRow returns a row's canonical form and primary key, and checks that it
// can be stored.
func (t *tableCore) encodeRow(row unsafe.Pointer) ([]byte, driver.Key, error) {
	data, err := t.plan.encode(nil, row)
	if err != nil {
		return nil, "", err
	}
	if t.plan.unstable {
		live, err := t.def.Decode(data)
		if err != nil {
			return nil, "", fmt.Errorf("%w: what was encoded cannot be read back: %w", ErrInvalid, err)
		}
		data = t.def.Encode(data[:0], live)
	}
	if len(data) > driver.MaxRow {
		return nil, "", fmt.Errorf("row of %d bytes, the limit is %d: %w", len(data), driver.MaxRow, ErrTooLarge)
	}
	if err := t.plan.checkKeySize(row, t.def.Key); err != nil {
		return nil, "", err
	}
	for _, x := range t.def.Indices {
		if err := t.plan.checkKeySize(row, x.Columns); err != nil {
			return nil, "", fmt.Errorf("index %s: %w", t.def.IndexColumnNames(x), err)
		}
	}
	key, err := t.plan.appendKey(nil, row, t.def.Key)
	if err != nil {
		return nil, "", err
	}
	return data, driver.Key(key), nil
}
