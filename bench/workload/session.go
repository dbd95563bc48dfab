package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"trihold/repo"
)

// A Session is one workload at work on one store, and remembers what it wrote.
// Do may be called concurrently; Load, Verify and Check run alone.
type Session interface {
	// Schema is what the store has to be opened with.
	Schema() *repo.Schema

	// Rows is the number of rows that Load writes.
	Rows() int64

	// Load fills an empty store. done is told the number of rows so far.
	Load(ctx context.Context, s *repo.Store, done func(rows int64)) error

	// Stream returns a sequence of operations.
	Stream(seed uint64) *Stream

	// Do carries out an operation. It returns how often the transaction ran.
	Do(ctx context.Context, s *repo.Store, op Op) (attempts int, err error)

	// Skip says that an operation of a Stream will not be carried out.
	Skip(op Op)

	// Verify compares everything in the store with what was written. What it
	// finds wrong is a *Mismatch.
	Verify(ctx context.Context, s *repo.Store) (Verdict, error)

	// Check reads what an earlier session of the same Params has found in the
	// store.
	Check(ctx context.Context, s *repo.Store, p Probe) error

	Close() error
}

// rows is one kind of rows: keys and content by number.
type rows[T any] interface {
	key(n int64) string
	keyOf(row *T) string
	// make returns the row that the given write of key n makes.
	make(n int64, s Stamp) (T, error)
	// stamp returns the key and the write that made a row.
	stamp(row *T) (n int64, s Stamp, err error)
}

// keyed is a session on a table whose key is one string.
type keyed[T any] struct {
	workload Workload
	params   Params
	schema   *repo.Schema
	table    *repo.Table[T, string]
	list     func(n int64) repo.Span[T] // what List reads a page of; may be nil
	rows     rows[T]
	history  *history
	zipf     zipfian
	close    func() error
}

func newKeyed[T any](w Workload, p Params, t *repo.Table[T, string], list func(int64) repo.Span[T], r rows[T], s *repo.Schema) *keyed[T] {
	k := &keyed[T]{workload: w, params: p, schema: s, table: t, list: list, rows: r, history: newHistory(p.Rows)}
	switch w.Keys {
	case Zipfian:
		k.zipf = newScrambled()
	case Latest:
		k.zipf = newZipfian(p.Rows)
	}
	return k
}

func (k *keyed[T]) Schema() *repo.Schema { return k.schema }

func (k *keyed[T]) Rows() int64 { return k.params.Rows }

func (k *keyed[T]) Close() error {
	if k.close != nil {
		return k.close()
	}
	return nil
}

func (k *keyed[T]) Stream(seed uint64) *Stream {
	return &Stream{w: k.workload, history: k.history, rand: rand.New(rand.NewPCG(seed, k.params.Seed)), zipf: k.zipf}
}

// A batch of the load ends at so many rows or bytes.
const (
	loadRows  = 1000
	loadBytes = 1 << 20
)

func (k *keyed[T]) Load(ctx context.Context, s *repo.Store, done func(rows int64)) error {
	def := k.schema.Driver().Tables[0]
	var buf []byte
	for from := int64(0); from < k.params.Rows; {
		var batch []T
		size := 0
		for n := from; n < k.params.Rows && len(batch) < loadRows && size < loadBytes; n++ {
			row, err := k.rows.make(n, Stamp{})
			if err != nil {
				return err
			}
			buf = def.Encode(buf[:0], &row)
			size += len(buf)
			batch = append(batch, row)
		}
		err := s.Update(ctx, func(tx *repo.Tx) error {
			for _, row := range batch {
				if err := k.table.Insert(tx, row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("load rows from %d: %w", from, err)
		}
		from += int64(len(batch))
		done(from)
	}
	return nil
}

func (k *keyed[T]) Do(ctx context.Context, s *repo.Store, op Op) (attempts int, err error) {
	switch op.Kind {
	case Read:
		return k.read(ctx, s, op)
	case Scan:
		return k.scan(ctx, s, k.table.From(k.rows.key(op.Key)), op.Len)
	case List:
		return k.scan(ctx, s, k.list(op.Key), PageSize)
	case RMW:
		return k.modify(ctx, s, op)
	}
	return k.write(ctx, s, op)
}

func (k *keyed[T]) Skip(op Op) {
	if op.Kind == Insert {
		k.history.settle(op.Key)
	}
}

func (k *keyed[T]) read(ctx context.Context, s *repo.Store, op Op) (attempts int, err error) {
	key := k.rows.key(op.Key)
	must := k.history.present(op.Key)
	var row T
	err = s.View(ctx, func(tx *repo.ReadTx) (err error) {
		attempts++
		row, err = k.table.Get(tx, key)
		return err
	})
	switch {
	case errors.Is(err, repo.ErrNotFound) && must:
		k.history.complain("row %s was not found by a read", key)
	case errors.Is(err, repo.ErrNotFound):
		err = nil // its insert failed
	case err == nil && k.rows.keyOf(&row) != key:
		k.history.complain("a read of row %s got row %s", key, k.rows.keyOf(&row))
	}
	return attempts, err
}

func (k *keyed[T]) scan(ctx context.Context, s *repo.Store, span repo.Span[T], n int) (attempts int, err error) {
	var page []T
	err = s.View(ctx, func(tx *repo.ReadTx) (err error) {
		attempts++
		page, _, err = span.Page(tx, "", n)
		return err
	})
	if err == nil && len(page) > n {
		k.history.complain("a page of %d rows has %d", n, len(page))
	}
	return attempts, err
}

func (k *keyed[T]) write(ctx context.Context, s *repo.Store, op Op) (attempts int, err error) {
	w := k.history.begin()
	row, err := k.rows.make(op.Key, w.stamp)
	if err != nil {
		return 0, err
	}
	err = s.Update(ctx, func(tx *repo.Tx) error {
		attempts++
		if op.Kind == Insert {
			return k.table.Insert(tx, row)
		}
		return k.table.Put(tx, row)
	})
	k.history.end(op.Key, op.Kind, w, err)
	return attempts, err
}

func (k *keyed[T]) modify(ctx context.Context, s *repo.Store, op Op) (attempts int, err error) {
	w := k.history.begin()
	key := k.rows.key(op.Key)
	err = s.Update(ctx, func(tx *repo.Tx) error {
		attempts++
		row, err := k.table.Get(tx, key)
		if err != nil {
			return err
		}
		_, was, err := k.rows.stamp(&row)
		if err != nil {
			return err
		}
		w.stamp.Count = was.Count + 1
		if row, err = k.rows.make(op.Key, w.stamp); err != nil {
			return err
		}
		return k.table.Put(tx, row)
	})
	k.history.end(op.Key, RMW, w, err)
	return attempts, err
}
