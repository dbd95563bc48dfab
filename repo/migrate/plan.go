package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"trihold/internal/verify"
	"trihold/repo/driver"
)

// A Plan says what a migration would do, without doing it. The target is opened for
// it, and made if it is not there yet; nothing is written into it.
type Plan struct {
	Source      string       `json:"source"`
	Target      string       `json:"target"`
	SourceClass driver.Class `json:"source_class"`
	TargetClass driver.Class `json:"target_class"`
	Rev         driver.Rev   `json:"rev"` // of the source
	Tables      []PlanTable  `json:"tables"`
	Rows        int64        `json:"rows"`
	Bytes       int64        `json:"bytes"`

	DiskNeeded int64   `json:"disk_needed_bytes"` // about, by the target
	DiskFree   int64   `json:"disk_free_bytes"`   // -1 if it is not known
	RAMNeeded  int64   `json:"ram_needed_bytes"`  // if the target keeps its rows in memory
	CopyS      float64 `json:"copy_s"`            // about

	Lost     []string `json:"lost"`
	Steps    []string `json:"steps"`
	Refusals []string `json:"refusals"` // why it cannot begin; empty if it can
}

// A PlanTable is a table to be moved.
type PlanTable struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

const (
	// diskFactor is how many bytes a backend may need on disk for one byte of rows:
	// columns, keys once more in every index, a log, and a snapshot beside another.
	diskFactor = 4
	diskPerRow = 128
	// ramFactor and ramPerRow are the same for a backend that keeps rows in memory.
	ramFactor = 2
	ramPerRow = 400
	// plannedRate is how many rows a second are assumed to be copied.
	plannedRate = 20_000
	// maxListed bounds the violations that are listed of each table.
	maxListed = 100
)

// ranks orders the durability classes.
var ranks = []driver.Class{driver.Memory, driver.Process, driver.Disk, driver.Quorum, driver.Replica}

// plan looks at both stores.
func plan(ctx context.Context, source, target *side, accept bool) (*Plan, error) {
	a, err := source.store.Status(ctx)
	if err != nil {
		return nil, err
	}
	b, err := target.store.Status(ctx)
	if err != nil {
		return nil, err
	}
	p := &Plan{Source: source.name, Target: target.name, SourceClass: a.Class, TargetClass: b.Class, Rev: a.Rev, DiskFree: b.Free}
	for _, t := range source.schema.Tables {
		pt, bad, err := survey(ctx, source.store, t)
		if err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
		p.Tables, p.Rows, p.Bytes = append(p.Tables, pt), p.Rows+pt.Rows, p.Bytes+pt.Bytes
		p.Refusals = append(p.Refusals, bad...)
	}
	p.DiskNeeded = diskFactor*p.Bytes + diskPerRow*p.Rows
	p.RAMNeeded = ramFactor*p.Bytes + ramPerRow*p.Rows
	p.CopyS = float64(p.Rows) / plannedRate
	p.judge(target.record, b, accept)
	p.Lost = []string{fmt.Sprintf("the changes up to revision %d: Changes of the target begins there", p.Rev+1)}
	p.Steps = []string{
		"start: copies the rows and follows the commits; the source stays as it is. Undo: nothing to undo, the target is behind a fence",
		"verify: compares both sides row by row at the same revisions",
		"cutover: the target takes the commits, the source follows. Undo: rollback, until complete",
		"complete: the source stays behind its fence, with what it had; nothing is deleted. No undo but another migration",
	}
	return p, nil
}

// judge adds what speaks against a migration to these stores.
func (p *Plan) judge(target Record, st driver.Status, accept bool) {
	refuse := func(format string, args ...any) { p.Refusals = append(p.Refusals, fmt.Sprintf(format, args...)) }
	if p.Source == p.Target {
		refuse("source and target are the same store")
	}
	if st.Rev != 0 || target.ID != "" {
		refuse("the target %s is not empty (revision %d); name a place where there is nothing yet", p.Target, st.Rev)
	}
	if slices.Index(ranks, p.TargetClass) < slices.Index(ranks, p.SourceClass) && !accept {
		refuse("the target's class %s survives less than the source's, %s; choose another class, or say --accept-class", p.TargetClass, p.SourceClass)
	}
	if p.DiskFree >= 0 && p.DiskFree < p.DiskNeeded {
		refuse("the disk of the target has %d bytes free, and about %d are needed; free some space or choose another disk", p.DiskFree, p.DiskNeeded)
	}
}

// survey measures a table, and lists the rows in it that no store would take from a
// program: they came in some other way.
func survey(ctx context.Context, store driver.Store, t *driver.Table) (pt PlanTable, bad []string, err error) {
	pt.Table = t.Name
	more := 0
	complain := func(key driver.Key, err error) {
		if len(bad) < maxListed {
			bad = append(bad, fmt.Sprintf("row %s[%s]: %v", t.Name, t.FormatKey(key), err))
		} else {
			more++
		}
	}
	after := driver.Key("")
	for limit := maxChunk; ; {
		c, err := scan(ctx, store, t, after, "", limit)
		if errors.Is(err, driver.ErrConflict) && limit > minChunk && ctx.Err() == nil {
			limit /= 2 // a shorter range may be read between two writes
			continue
		}
		if err != nil {
			return pt, nil, err
		}
		for _, r := range c.rows {
			pt.Rows++
			pt.Bytes += int64(len(r.data))
			if err := violation(t, r); err != nil {
				complain(r.key, err)
			}
			after = r.key
		}
		if c.end {
			break
		}
		limit = min(maxChunk, 2*limit) // it may have been one busy place
	}
	if err := repeated(ctx, store, t, complain); err != nil {
		return pt, nil, err
	}
	if more > 0 {
		bad = append(bad, fmt.Sprintf("table %s: %d more rows like these", t.Name, more))
	}
	return pt, bad, nil
}

// violation returns which limit a row does not keep.
func violation(t *driver.Table, r keyed) error {
	if len(r.data) > driver.MaxRow {
		return fmt.Errorf("a row of %d bytes, the limit is %d", len(r.data), driver.MaxRow)
	}
	values, err := driver.RowValues(nil, t.Columns, r.data)
	if err != nil {
		return err
	}
	if size := sizeOf(values, t.Key); size > driver.MaxKey {
		return fmt.Errorf("a key of %d bytes, the limit is %d", size, driver.MaxKey)
	}
	for _, x := range t.Indices {
		if size := sizeOf(values, x.Columns); size > driver.MaxKey {
			return fmt.Errorf("index %s: a key of %d bytes, the limit is %d", t.IndexColumnNames(x), size, driver.MaxKey)
		}
	}
	return nil
}

// sizeOf returns the bytes of some values of a row.
func sizeOf(values []driver.Value, at []int) int {
	size := 0
	for _, i := range at {
		switch v := values[i].(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		case nil:
		default:
			size += 8
		}
	}
	return size
}

// repeated finds rows with equal values of a unique index. It reads one state of each
// index; a backend that cannot show one while it is written to has checked them itself.
func repeated(ctx context.Context, store driver.Store, t *driver.Table, complain func(driver.Key, error)) error {
	for order := 1; order <= len(t.Indices); order++ {
		if !t.Indices[order-1].Unique {
			continue
		}
		snap, err := store.Begin(ctx, driver.Mode{Closed: true})
		if err != nil {
			return err
		}
		last := driver.Key("")
		for row, err := range snap.Scan(ctx, driver.Span{Table: t, Order: order}) {
			if errors.Is(err, driver.ErrConflict) {
				break
			}
			if err != nil {
				return errors.Join(err, snap.Close())
			}
			live := row.Value
			if live == nil {
				if live, err = t.Decode(row.Data); err != nil {
					break // its row has been complained about
				}
			}
			values := verify.Unique(t, order, live)
			if values != "" && values == last {
				complain(driver.Key(t.AppendKey(nil, 0, live)), fmt.Errorf("another row has the same values of unique index %s", t.IndexColumnNames(t.Indices[order-1])))
			}
			last = values
		}
		if err := snap.Close(); err != nil {
			return err
		}
	}
	return nil
}
