package repotest

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

var valueCases = []testCase{
	{
		name: "what was read belongs to the reader",
		why:  "A program that sorts a slice it has read, or adds to a map, must not write into the store, nor into what others read.",
		check: func(t *T) {
			insert(t, documents, fullDocument())
			insert(t, scalars, fullScalar())
			insert(t, items, Item{ID: "a", Code: ptr("x")})
			spoilAll := func(tx repo.Reader) error {
				d, err := documents.Get(tx, "a")
				if err != nil {
					return err
				}
				spoilDocument(d)
				for d, err := range documents.All().Rows(tx) {
					if err != nil {
						return err
					}
					spoilDocument(d)
				}
				s, err := scalars.Get(tx, "a")
				if err != nil {
					return err
				}
				spoilScalar(s)
				page, _, err := scalars.All().Page(tx, "", 5)
				if err != nil {
					return err
				}
				spoilScalar(page[0])
				i, err := itemsByCode.Get(tx, ptr("x"))
				if err != nil {
					return err
				}
				*i.Code = "spoilt"
				return t.unspoilt(tx)
			}
			t.view(func(tx *repo.ReadTx) error { return spoilAll(tx) })
			t.update(func(tx *repo.Tx) error { return spoilAll(tx) })
			t.view(func(tx *repo.ReadTx) error { return t.unspoilt(tx) })
		},
	},
	{
		name: "what was written has been copied",
		why:  "The caller goes on using its row: after the write, after the commit, while others read.",
		check: func(t *T) {
			d, s, code := fullDocument(), fullScalar(), "x"
			t.update(func(tx *repo.Tx) error {
				err := errors.Join(documents.Insert(tx, d), scalars.Insert(tx, s), items.Insert(tx, Item{ID: "a", Code: &code}))
				spoilDocument(d) // before the commit
				spoilScalar(s)
				code = "spoilt"
				return errors.Join(err, t.unspoilt(tx))
			})
			t.view(func(tx *repo.ReadTx) error { return t.unspoilt(tx) })
			d, s, code = fullDocument(), fullScalar(), "x"
			t.update(func(tx *repo.Tx) error {
				return errors.Join(documents.Put(tx, d), scalars.Put(tx, s), items.Put(tx, Item{ID: "a", Code: &code}))
			})
			spoilDocument(d) // after it
			spoilScalar(s)
			code = "spoilt"
			t.view(func(tx *repo.ReadTx) error { return t.unspoilt(tx) })
		},
	},
	{
		name: "an own row that is read back belongs to the reader",
		why:  "What a transaction reads of its own writes must not be the buffer itself.",
		check: func(t *T) {
			t.update(func(tx *repo.Tx) error {
				t.ok(errors.Join(documents.Insert(tx, fullDocument()), scalars.Insert(tx, fullScalar()), items.Insert(tx, Item{ID: "a", Code: ptr("x")})))
				for range 2 {
					d, err := documents.Get(tx, "a")
					t.ok(err)
					spoilDocument(d)
					s, err := scalars.All().First(tx)
					t.ok(err)
					spoilScalar(s)
					i, err := itemsByCode.Get(tx, ptr("x"))
					t.ok(err)
					*i.Code = "spoilt"
				}
				return t.unspoilt(tx)
			})
			t.view(func(tx *repo.ReadTx) error { return t.unspoilt(tx) })
		},
	},
	{
		name: "bytes of a row belong to the reader",
		why:  "The contract below says so of canonical rows, and package repo decodes them in place.",
		check: func(t *T) {
			insert(t, blobs, Blob{Key: "a", Data: []byte("data")})
			for range 2 {
				t.snapshot(func(s driver.Snapshot) error {
					all, err := gather(s.Scan(t.ctx, driver.Span{Table: table("blob")}))
					if err != nil {
						return err
					}
					row, err := s.Get(t.ctx, table("blob"), keyOf(table("blob"), all[0]))
					clear(all[0].Data)
					clear(row.Data)
					return err
				})
				t.equal("row", get(t, blobs, "a"), Blob{Key: "a", Data: []byte("data")})
			}
		},
	},
	{
		name: "two readers may change the same row at once",
		why:  "Each has a copy of its own, so nothing is shared that would need a lock. The race detector sees it if something is.",
		check: func(t *T) {
			insert(t, documents, fullDocument())
			insert(t, scalars, fullScalar())
			t.parallel(4, func(int) error {
				for range 20 {
					err := t.store.View(t.ctx, func(tx *repo.ReadTx) error {
						d, err := documents.Get(tx, "a")
						if err != nil {
							return err
						}
						spoilDocument(d)
						s, err := scalars.Get(tx, "a")
						if err == nil {
							spoilScalar(s)
						}
						return err
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	},
}

// fullDocument returns a row that refers to memory in every way.
func fullDocument() Document {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	body := func() Body {
		return Body{Title: "t", Parts: []Body{{Title: "p", Raw: json.RawMessage(`1`)}}, Notes: map[string]*string{"n": ptr("m")}, Raw: json.RawMessage(`[1]`), At: &at}
	}
	return Document{ID: "a", Tags: []string{"b", "a"}, Counts: map[string]int64{"x": 1}, Body: body(), Link: ptr(body()), Grid: [][]int64{{1, 2}, {3}},
		Raw: json.RawMessage(`{"a":1}`), Any: map[string]any{"l": []any{"x"}}}
}

func spoilDocument(d Document) {
	slices.Sort(d.Tags)
	_ = append(d.Tags[:1], "spoilt")
	d.Counts["x"], d.Counts["y"] = 2, 3
	spoilBody := func(b *Body) {
		b.Parts[0].Title = "spoilt"
		b.Parts[0].Raw[0] = '9'
		*b.Notes["n"] = "spoilt"
		b.Notes["new"] = nil
		b.Raw[1] = '9'
		*b.At = time.Time{}
	}
	spoilBody(&d.Body)
	spoilBody(d.Link)
	d.Link.Title = "spoilt"
	d.Grid[0][0], d.Grid[1] = 9, nil
	d.Raw[5] = '9'
	m := d.Any.(map[string]any)
	m["l"].([]any)[0] = "spoilt"
	m["new"] = 1
}

func fullScalar() Scalar {
	return Scalar{ID: "a", Blob: []byte("blob"), Time: time.UnixMicro(1).UTC(), MaybeBool: ptr(true), MaybeInt: ptr(1), MaybeInt8: ptr(int8(1)), MaybeInt64: ptr(int64(1)),
		MaybeFloat: ptr(1.5), MaybeText: ptr("t"), MaybeBlob: ptr([]byte("b")), MaybeBytes: ptr(repo.Bytes("b")), MaybeTime: ptr(time.UnixMicro(1).UTC())}
}

func spoilScalar(s Scalar) {
	clear(s.Blob)
	clear(*s.MaybeBlob)
	*s.MaybeBool, *s.MaybeInt, *s.MaybeInt8, *s.MaybeInt64, *s.MaybeFloat = false, 0, 0, 0, 0
	*s.MaybeText, *s.MaybeBlob, *s.MaybeBytes, *s.MaybeTime = "spoilt", nil, "spoilt", time.Time{}
}

// unspoilt reports whether the rows are still as they were written.
func (t *T) unspoilt(tx repo.Reader) error {
	t.Helper()
	d, err := documents.Get(tx, "a")
	if err != nil {
		return err
	}
	t.equal("document", d, fullDocument())
	s, err := scalars.Get(tx, "a")
	if err != nil {
		return err
	}
	t.equal("scalar", s, fullScalar())
	i, err := itemsByCode.Get(tx, ptr("x"))
	if err != nil {
		return err
	}
	t.equal("code", i.Code, ptr("x"))
	return nil
}
