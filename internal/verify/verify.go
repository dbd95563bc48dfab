package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"trihold/repo/driver"
)

// Store checks one snapshot: every order of a table holds exactly its rows, in
// order, forward and backward; Get finds what Scan shows; unique indices are
// unique; rows are in canonical form, and none is newer than the snapshot, nor that
// newer than what Status says. It may run while others write.
func Store(ctx context.Context, d driver.Store, s *driver.Schema) error {
	var highest driver.Rev
	for {
		var err error
		if highest, err = snapshot(ctx, d, s); err == nil {
			break
		}
		// A snapshot over a network may meet later commits; then another one is taken.
		if !errors.Is(err, driver.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
	status, err := d.Status(ctx)
	if err == nil && highest > status.Rev {
		err = fmt.Errorf("verify: a row has revision %d, Status says %d", highest, status.Rev)
	}
	return err
}

// snapshot checks a snapshot and returns the highest revision of a row.
func snapshot(ctx context.Context, d driver.Store, s *driver.Schema) (highest driver.Rev, err error) {
	snap, err := d.Begin(ctx, driver.Mode{})
	if err != nil {
		return 0, fmt.Errorf("verify: %w", err)
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	for _, t := range s.Tables {
		rev, err := table(ctx, snap, t)
		if err != nil {
			return 0, fmt.Errorf("verify table %s: %w", t.Name, err)
		}
		highest = max(highest, rev)
	}
	return highest, nil
}

// A row is a row as one order holds it.
type row struct {
	key  []byte // in that order
	pk   driver.Key
	rev  driver.Rev
	data []byte
	live any
	here bool // it is an object in this process
}

// someGets is how many rows of a table are read one by one, where a Get may cost a
// round trip.
const someGets = 8

func table(ctx context.Context, snap driver.Snapshot, t *driver.Table) (highest driver.Rev, err error) {
	primary, err := walk(ctx, snap, driver.Span{Table: t})
	if err != nil {
		return 0, err
	}
	for order := range len(t.Indices) + 1 {
		if err := checkOrder(ctx, snap, t, order, primary); err != nil {
			return 0, fmt.Errorf("order %d: %w", order, err)
		}
	}
	step := 1
	if len(primary) > 0 && !primary[0].here {
		step = len(primary)/someGets + 1
	}
	for i, r := range primary {
		if r.rev < 1 || r.rev > snap.Rev() {
			return 0, fmt.Errorf("row %s has revision %d, the snapshot %d", t.FormatKey(r.pk), r.rev, snap.Rev())
		}
		highest = max(highest, r.rev)
		if i%step > 0 {
			continue
		}
		got, err := snap.Get(ctx, t, r.pk)
		if err != nil {
			return 0, fmt.Errorf("get row %s, which a scan shows: %w", t.FormatKey(r.pk), err)
		}
		if data := got.Canonical(nil, t); got.Rev != r.rev || !bytes.Equal(data, r.data) {
			return 0, fmt.Errorf("get and scan show row %s in different states", t.FormatKey(r.pk))
		}
	}
	return highest, nil
}

// checkOrder compares an order with the primary one.
func checkOrder(ctx context.Context, snap driver.Snapshot, t *driver.Table, order int, primary []row) error {
	want := slices.Clone(primary)
	for i := range want {
		want[i].key = t.AppendKey(nil, order, want[i].live)
	}
	slices.SortFunc(want, func(a, b row) int { return bytes.Compare(a.key, b.key) })
	for i := 1; i < len(want); i++ {
		if bytes.Equal(want[i-1].key, want[i].key) {
			return fmt.Errorf("row %s is there twice", t.FormatKey(want[i].pk))
		}
		if values := Unique(t, order, want[i].live); values != "" && values == Unique(t, order, want[i-1].live) {
			return fmt.Errorf("rows %s and %s have the same values of a unique index", t.FormatKey(want[i-1].pk), t.FormatKey(want[i].pk))
		}
	}
	for _, reverse := range []bool{false, true} {
		got, err := walk(ctx, snap, driver.Span{Table: t, Order: order, Reverse: reverse})
		if err != nil {
			return err
		}
		if reverse {
			slices.Reverse(got)
		}
		if len(got) != len(want) {
			return fmt.Errorf("(reverse %v) holds %d rows, the table %d", reverse, len(got), len(want))
		}
		for i := range got {
			if got[i].pk != want[i].pk || got[i].rev != want[i].rev || !bytes.Equal(got[i].data, want[i].data) {
				return fmt.Errorf("(reverse %v) at position %d is row %s of revision %d, want row %s of revision %d",
					reverse, i, t.FormatKey(got[i].pk), got[i].rev, t.FormatKey(want[i].pk), want[i].rev)
			}
		}
	}
	return nil
}

// Unique returns the values of a unique index that no other row may have, or
// empty: if the order is not that of a unique index, or one of them is NULL.
func Unique(t *driver.Table, order int, live any) driver.Key {
	if order == 0 || !t.Indices[order-1].Unique {
		return ""
	}
	key := t.AppendKey(nil, order, live)
	cols := t.OrderColumns(order)
	values, err := driver.KeyValues(cols, driver.Key(key))
	if err != nil {
		return ""
	}
	if slices.Contains(values[:len(t.Indices[order-1].Columns)], nil) {
		return ""
	}
	return driver.Key(key[:len(key)-len(t.AppendKey(nil, 0, live))])
}

func walk(ctx context.Context, snap driver.Snapshot, s driver.Span) ([]row, error) {
	var all []row
	for r, err := range snap.Scan(ctx, s) {
		if err != nil {
			return nil, err
		}
		if (r.Value == nil) == (r.Data == nil) {
			return nil, errors.New("a row must have either Value or Data")
		}
		v := row{rev: r.Rev, data: r.Canonical(nil, s.Table), here: r.Value != nil}
		if v.live, err = s.Table.Decode(v.data); err != nil {
			return nil, err
		}
		v.pk = driver.Key(s.Table.AppendKey(nil, 0, v.live))
		if again := s.Table.Encode(nil, v.live); !bytes.Equal(again, v.data) {
			return nil, fmt.Errorf("row %s is not in canonical form", s.Table.FormatKey(v.pk))
		}
		all = append(all, v)
	}
	return all, nil
}
