package repo

import (
	"context"
	"iter"

	"trihold/repo/driver"
)

// A Change is what one commit touched. Table.Changed gives the keys.
type Change struct {
	Rev  Rev
	keys []driver.ChangedKey
}

// Changes yields every commit after a revision, in order and exactly once, and
// waits for more when it has caught up. It ends with ctx's error, with ErrClosed
// when the store is closed, or with ErrCompacted if commits after that revision
// are no longer retained. To read the values that a change wrote, start a View:
// it shows them as they are at that revision or later.
func (s *Store) Changes(ctx context.Context, after Rev) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for c, err := range s.driver.Changes(ctx, after) {
			if !yield(Change{Rev: c.Rev, keys: c.Keys}, err) || err != nil {
				return
			}
		}
	}
}

// Status describes the store as it is now.
func (s *Store) Status(ctx context.Context) (Status, error) { return s.driver.Status(ctx) }

// Driver returns the backend, for tools that work on a driver.Store.
func (s *Store) Driver() driver.Store { return s.driver }

// Close waits for commits in flight and releases the store. It is idempotent.
func (s *Store) Close() error { return s.driver.Close() }
