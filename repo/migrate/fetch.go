package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"trihold/repo/driver"
)

// fetchers is how many rows are read at once. A backend in another process answers
// callers that ask together with one request.
const fetchers = 16

// A rowRef names a row.
type rowRef struct {
	table *driver.Table
	key   driver.Key
}

// A stored is a row in canonical form; revision zero means that it is absent.
type stored struct {
	rev  driver.Rev
	data []byte
	late bool // see mover.writesOf
}

// fetch reads rows as they are now, each on its own: they need not belong to one
// state. It returns them in the order of refs.
func fetch(ctx context.Context, store driver.Store, refs []rowRef) ([]stored, error) {
	out := make([]stored, len(refs))
	errs := make([]error, min(fetchers, len(refs)))
	var work sync.WaitGroup
	for n := range errs {
		work.Go(func() {
			for i := n; i < len(refs) && errs[n] == nil; i += len(errs) {
				out[i], errs[n] = fetchOne(ctx, store, refs[i])
			}
		})
	}
	work.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	return out, nil
}

func fetchOne(ctx context.Context, store driver.Store, ref rowRef) (s stored, err error) {
	snap, err := store.Begin(ctx, driver.Mode{Closed: true})
	if err != nil {
		return s, err
	}
	row, err := snap.Get(ctx, ref.table, ref.key)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		err = nil
	case err == nil:
		s = stored{rev: row.Rev, data: row.Canonical(nil, ref.table)}
	}
	return s, errors.Join(err, snap.Close())
}

// touched returns the rows that commits have written, each once, without those of
// the state: each store has its own.
func touched(changes []driver.Change, state *driver.Table) []rowRef {
	var refs []rowRef
	seen := map[rowRef]bool{}
	for _, c := range changes {
		for _, k := range c.Keys {
			if ref := (rowRef{k.Table, k.Key}); k.Table != state && !seen[ref] {
				seen[ref] = true
				refs = append(refs, ref)
			}
		}
	}
	return refs
}
