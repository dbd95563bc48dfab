package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"trihold/internal/digest"
	"trihold/repo"
	"trihold/repo/driver"
)

// attempts is how often a store is read from the beginning when a backend over a
// network says that what has been read was changed meanwhile.
const attempts = 5

// A tally adds up the content of tables.
type tally struct {
	names []string
	rows  []int64
	sums  []digest.Sum
}

// begin begins a table; rows that are added belong to the last one begun.
func (t *tally) begin(table string) {
	t.names, t.rows, t.sums = append(t.names, table), append(t.rows, 0), append(t.sums, digest.Sum{})
}

func (t *tally) add(row []byte) {
	last := len(t.names) - 1
	t.rows[last]++
	t.sums[last].Add(row)
}

// content returns the tally as package repo would.
func (t *tally) content(rev driver.Rev) repo.Digest {
	d := repo.Digest{Rev: rev, Sum: digest.Whole(t.names, t.sums).String()}
	for i, name := range t.names {
		d.Tables = append(d.Tables, repo.TableDigest{Table: name, Rows: t.rows[i], Sum: t.sums[i].String()})
	}
	return d
}

// Content returns the digest of a store's tables, or of all of them if none is
// named, as repo.Store.Digest does; but also of a store that a fence has closed.
func Content(ctx context.Context, store driver.Store, tables []string, progress func(Progress)) (repo.Digest, error) {
	chosen, _, err := choose(ctx, store, tables)
	if err != nil {
		return repo.Digest{}, err
	}
	var d repo.Digest
	err = consistently(ctx, func() error {
		d, err = walk(ctx, store, driver.Mode{Closed: true}, chosen, Progress{What: "checking the store"}, progress, func(*driver.Table, driver.Rev, []byte) error { return nil })
		return err
	})
	if err != nil {
		return d, fmt.Errorf("digest of the store: %w", err)
	}
	return d, nil
}

// Fence returns the fence of a store, or nil if there is none.
func Fence(ctx context.Context, store driver.Store, schema *driver.Schema) (*driver.Fence, error) {
	var f driver.Fence
	rev, err := readState(ctx, store, schema, driver.FenceRow, &f)
	if err != nil || rev == 0 {
		return nil, err
	}
	return &f, nil
}

// readState reads a row of the state of a store, even if a fence has closed it.
func readState(ctx context.Context, store driver.Store, schema *driver.Schema, name string, value any) (rev driver.Rev, err error) {
	err = consistently(ctx, func() (err error) {
		snap, err := store.Begin(ctx, driver.Mode{Closed: true})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, snap.Close()) }()
		rev, err = schema.ReadState(ctx, snap, name, value)
		return err
	})
	return rev, err
}

// consistently runs a read of a whole store until it did not meet a conflict.
func consistently(ctx context.Context, read func() error) error {
	for try := 1; ; try++ {
		err := read()
		if !errors.Is(err, driver.ErrConflict) || ctx.Err() != nil {
			return err
		}
		if try == attempts {
			return fmt.Errorf("rows were changed while they were read, %d times; try again when less is written, or read fewer tables: %w", attempts, err)
		}
	}
}

// walk shows all rows of some tables, in one snapshot, and adds them up.
func walk(ctx context.Context, store driver.Store, m driver.Mode, tables []*driver.Table, p Progress, progress func(Progress), show func(*driver.Table, driver.Rev, []byte) error) (d repo.Digest, err error) {
	snap, err := store.Begin(ctx, m)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	var sum tally
	var data []byte
	for _, t := range tables {
		sum.begin(t.Name)
		for row, err := range snap.Scan(ctx, driver.Span{Table: t}) {
			if err != nil {
				return d, fmt.Errorf("scan %s: %w", t.Name, err)
			}
			data = row.Canonical(data[:0], t)
			sum.add(data)
			if err := show(t, row.Rev, data); err != nil {
				return d, err
			}
			p.Rows++
			p.tell(progress)
		}
	}
	return sum.content(snap.Rev()), nil
}

// choose returns the named tables of a store, or all, in the order of its schema.
func choose(ctx context.Context, store driver.Store, names []string) ([]*driver.Table, driver.Status, error) {
	status, err := store.Status(ctx)
	if err != nil {
		return nil, status, err
	}
	var known []string
	var chosen []*driver.Table
	for _, t := range status.Schema.Tables {
		known = append(known, t.Name)
		if len(names) == 0 || slices.Contains(names, t.Name) {
			chosen = append(chosen, t)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, status, driver.Failed("choose tables", driver.ErrInvalid, fmt.Errorf("the store has no table %q; it has: %s", name, strings.Join(known, ", ")))
		}
	}
	return chosen, status, nil
}
