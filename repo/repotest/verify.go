package repotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"trihold/repo/driver"
)

// Verify checks that a store is consistent in itself: every index holds exactly
// the rows of its table, every order is in order in both directions, unique
// indices are unique, rows are in canonical form, and no row is newer than the
// store. It reads one snapshot, so it may run while others write.
func Verify(t testing.TB, d driver.Store, s *driver.Schema) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := verify(ctx, d, s); err != nil {
		t.Errorf("the store is not consistent: %v", err)
	}
}

func verify(ctx context.Context, d driver.Store, s *driver.Schema) error {
	var highest driver.Rev
	err := onSnapshot(ctx, d, func(snap driver.Snapshot) error {
		highest = 0
		for _, t := range s.Tables {
			rows, err := verifyTable(ctx, snap, t)
			if err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
			for _, r := range rows {
				highest = max(highest, r.rev)
			}
		}
		if highest > snap.Rev() {
			return fmt.Errorf("a row has revision %d, the snapshot %d", highest, snap.Rev())
		}
		return nil
	})
	if err != nil {
		return err
	}
	status, err := d.Status(ctx)
	if err == nil && highest > status.Rev {
		err = fmt.Errorf("a row has revision %d, Status says %d", highest, status.Rev)
	}
	return err
}

// A verified is a row as one order holds it.
type verified struct {
	key  driver.Key // in that order
	pk   driver.Key
	rev  driver.Rev
	data []byte
}

// verifyTable returns the rows in the order of the primary key.
func verifyTable(ctx context.Context, snap driver.Snapshot, t *driver.Table) ([]verified, error) {
	primary, err := walk(ctx, snap, driver.Span{Table: t})
	if err != nil {
		return nil, fmt.Errorf("primary key: %w", err)
	}
	for order := range len(t.Indices) + 1 {
		name := "primary key"
		if order > 0 {
			name = "index " + t.Indices[order-1].Name
		}
		if err := verifyOrder(ctx, snap, t, order, primary); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	const samples = 8 // a Get may cost a round trip
	for i := 0; i < len(primary); i += len(primary)/samples + 1 {
		row, err := snap.Get(ctx, t, primary[i].pk)
		if err != nil {
			return nil, fmt.Errorf("get row %s, which a scan shows: %w", t.FormatKey(primary[i].pk), err)
		}
		if got, err := verifiedRow(t, 0, row); err != nil {
			return nil, err
		} else if err := got.mustEqual(t, primary[i]); err != nil {
			return nil, fmt.Errorf("get and scan differ: %w", err)
		}
	}
	return primary, nil
}

// verifyOrder compares an order with the primary one, forward and backward.
func verifyOrder(ctx context.Context, snap driver.Snapshot, t *driver.Table, order int, primary []verified) error {
	want := slices.Clone(primary)
	for i := range want {
		live, err := t.Decode(want[i].data)
		if err != nil {
			return err
		}
		want[i].key = driver.Key(t.AppendKey(nil, order, live))
	}
	slices.SortFunc(want, func(a, b verified) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
	for i := range want {
		if i == 0 {
			continue
		}
		if want[i].key == want[i-1].key {
			return fmt.Errorf("row %s is there twice", t.FormatKey(want[i].pk))
		}
		if order > 0 && t.Indices[order-1].Unique && sameUnique(t, order, want[i-1].key, want[i].key) {
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
		for i := range max(len(got), len(want)) {
			switch {
			case i >= len(got):
				return fmt.Errorf("(reverse %v) row %s is missing", reverse, t.FormatKey(want[i].pk))
			case i >= len(want):
				return fmt.Errorf("(reverse %v) row %s is too many", reverse, t.FormatKey(got[i].pk))
			}
			if err := got[i].mustEqual(t, want[i]); err != nil {
				return fmt.Errorf("(reverse %v) at position %d: %w", reverse, i, err)
			}
		}
	}
	return nil
}

// sameUnique reports whether two keys agree in the columns of a unique index,
// none of them NULL.
func sameUnique(t *driver.Table, order int, a, b driver.Key) bool {
	n := len(t.Indices[order-1].Columns)
	cols := t.OrderColumns(order)
	va, errA := driver.KeyValues(cols, a)
	vb, errB := driver.KeyValues(cols, b)
	return errors.Join(errA, errB) == nil && !hasNull(va[:n]) && compareValues(va[:n], vb[:n]) == 0
}

func walk(ctx context.Context, snap driver.Snapshot, s driver.Span) ([]verified, error) {
	var all []verified
	for row, err := range snap.Scan(ctx, s) {
		if err != nil {
			return nil, err
		}
		v, err := verifiedRow(s.Table, s.Order, row)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func verifiedRow(t *driver.Table, order int, row driver.Row) (verified, error) {
	if (row.Value == nil) == (row.Data == nil) {
		return verified{}, errors.New("a row must have either Value or Data")
	}
	v := verified{rev: row.Rev, data: row.Canonical(nil, t)}
	live, err := t.Decode(v.data)
	if err != nil {
		return v, err
	}
	v.key, v.pk = driver.Key(t.AppendKey(nil, order, live)), driver.Key(t.AppendKey(nil, 0, live))
	if again := t.Encode(nil, live); !bytes.Equal(again, v.data) {
		return v, fmt.Errorf("row %s is not in canonical form: %x, want %x", t.FormatKey(v.pk), v.data, again)
	}
	if row.Rev < 1 {
		return v, fmt.Errorf("row %s has revision %d", t.FormatKey(v.pk), row.Rev)
	}
	return v, nil
}

func (v verified) mustEqual(t *driver.Table, want verified) error {
	switch {
	case v.key != want.key || v.pk != want.pk:
		return fmt.Errorf("found row %s, want row %s", t.FormatKey(v.pk), t.FormatKey(want.pk))
	case v.rev != want.rev:
		return fmt.Errorf("row %s has revision %d, want %d", t.FormatKey(v.pk), v.rev, want.rev)
	case !bytes.Equal(v.data, want.data):
		return fmt.Errorf("row %s holds %x, want %x", t.FormatKey(v.pk), v.data, want.data)
	}
	return nil
}
