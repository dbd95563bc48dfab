package repotest

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"trihold/repo"
)

var errorCases = []testCase{
	{
		name: "errors are sentinels with detail, on one line",
		why:  "Programs decide by errors.Is, people read one line in a log: what was done, to what, and why not.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Code: ptr("x")})
			for _, c := range []struct {
				what  string
				fn    func(tx *repo.Tx) error
				kind  error
				table string
			}{
				{"get", func(tx *repo.Tx) error { _, err := items.Get(tx, "no"); return err }, repo.ErrNotFound, "item"},
				{"first", func(tx *repo.Tx) error { _, err := events.All().First(tx); return err }, repo.ErrNotFound, "event"},
				{"unique get", func(tx *repo.Tx) error { _, err := itemsByCode.Get(tx, ptr("no")); return err }, repo.ErrNotFound, "item"},
				{"unique get of NULL", func(tx *repo.Tx) error { _, err := itemsByCode.Get(tx, nil); return err }, repo.ErrInvalid, "item"},
				{"insert", func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "a"}) }, repo.ErrExists, "item"},
				{"insert twice", func(tx *repo.Tx) error { t.ok(items.Insert(tx, Item{ID: "b"})); return items.Insert(tx, Item{ID: "b"}) }, repo.ErrExists, "item"},
				{"insert then delete", func(tx *repo.Tx) error { t.ok(items.Insert(tx, Item{ID: "a"})); return items.Delete(tx, "a") }, repo.ErrExists, "item"},
				{"collision", func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "b", Code: ptr("x")}) }, repo.ErrExists, "item"},
				{"invalid row", func(tx *repo.Tx) error { return scalars.Put(tx, Scalar{ID: "a", Float: math.NaN()}) }, repo.ErrInvalid, "scalar"},
				{"invalid key", func(tx *repo.Tx) error { _, err := items.Get(tx, "\xFF"); return err }, repo.ErrInvalid, "item"},
				{"large key", func(tx *repo.Tx) error { return items.Delete(tx, strings.Repeat("a", 2000)) }, repo.ErrTooLarge, "item"},
				{"large row", func(tx *repo.Tx) error { return blobs.Put(tx, Blob{Data: make([]byte, 2<<20)}) }, repo.ErrTooLarge, "blob"},
				{"invalid bound", func(tx *repo.Tx) error { _, err := itemsByText.Eq("\xFF").Count(tx); return err }, repo.ErrInvalid, "item"},
				{"invalid prefix", func(tx *repo.Tx) error { _, err := items.Prefix("\xFF").Count(tx); return err }, repo.ErrInvalid, "item"},
				{"invalid prefix of an index", func(tx *repo.Tx) error { _, err := itemsByText.Prefix("\xFF").Count(tx); return err }, repo.ErrInvalid, "item"},
				{"prefix of a number", func(tx *repo.Tx) error { _, err := seats.Prefix("1").Count(tx); return err }, repo.ErrInvalid, "order"},
				{"prefix of several columns", func(tx *repo.Tx) error { _, err := events.Prefix("1").Count(tx); return err }, repo.ErrInvalid, "event"},
				{"cursor", func(tx *repo.Tx) error { _, _, err := items.All().Page(tx, "?", 1); return err }, repo.ErrInvalid, "item"},
				{"empty page", func(tx *repo.Tx) error { _, _, err := items.All().Page(tx, "", 0); return err }, repo.ErrInvalid, "item"},
			} {
				err := t.store.Update(t.ctx, c.fn)
				if !errors.Is(err, c.kind) {
					t.Errorf("%s: got %v, want %q", c.what, err, c.kind)
					continue
				}
				var detail *repo.Error
				if !errors.As(err, &detail) {
					t.Errorf("%s: error %v has no detail", c.what, err)
					continue
				}
				if detail.Op == "" || detail.Table != c.table {
					t.Errorf("%s: detail is %+v, want an operation and table %s", c.what, *detail, c.table)
				}
				if strings.ContainsAny(err.Error(), "\n\r") {
					t.Errorf("%s: error %q is more than one line", c.what, err)
				}
			}
		},
	},
	{
		name: "an error of the closure comes back as it is",
		why:  "Callers compare it; and an error of theirs that happens to wrap ErrConflict is still theirs, and no reason to run again.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			for _, own := range []error{errOwn, fmt.Errorf("wrapped: %w", repo.ErrConflict), repo.ErrExists, repo.ErrUncertain} {
				runs := 0
				err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
					runs++
					if _, err := items.Get(tx, "a"); err != nil {
						return err
					}
					t.ok(items.Put(tx, Item{ID: "a", Text: "changed"}))
					return own
				})
				if err != own {
					t.Errorf("Update returned %v, want %v itself", err, own)
				}
				err = t.store.View(t.ctx, func(tx *repo.ReadTx) error { runs++; return own })
				if err != own {
					t.Errorf("View returned %v, want %v itself", err, own)
				}
				t.equal("runs", runs, 2)
			}
			t.equal("text", get(t, items, "a").Text, "")
		},
	},
	{
		name: "a write that was refused at once is no part of the transaction",
		why:  "The closure may handle the error and go on.",
		check: func(t *T) {
			t.update(func(tx *repo.Tx) error {
				t.ok(items.Insert(tx, Item{ID: "a", Text: "first"}))
				t.refused(items.Insert(tx, Item{ID: "a", Text: "second"}), repo.ErrExists)
				t.refused(items.Put(tx, Item{ID: "a", Text: "\xFF"}), repo.ErrInvalid)
				t.refused(blobs.Put(tx, Blob{Key: "b", Data: make([]byte, 2<<20)}), repo.ErrTooLarge)
				return nil
			})
			t.equal("items", rows(t, items.All()), []Item{{ID: "a", Text: "first"}})
			t.equal("blobs", len(rows(t, blobs.All())), 0)
		},
	},
	{
		name: "the store goes on after errors",
		why:  "A refused commit must leave nothing behind: no lock, no open transaction, no half-written batch.",
		check: func(t *T) {
			insert(t, items, Item{ID: "taken", Code: ptr("x")})
			for i := range 30 {
				_ = t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "taken"}) })
				_ = t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "b", Code: ptr("x")}) })
				_ = t.store.View(t.ctx, func(tx *repo.ReadTx) error { return errOwn })
				insert(t, items, Item{ID: fmt.Sprint(i)})
			}
			t.equal("rows", len(rows(t, items.All())), 31)
		},
	},
}
