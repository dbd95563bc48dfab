package repotest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

var limitCases = []testCase{
	{
		name: "a key of 1 KiB is a key, one byte more is ErrTooLarge",
		why:  "The limit counts the bytes of the values, not of their encoding: NULs double there.",
		check: func(t *T) {
			for _, b := range []string{"a", "\x00", "\xFF"} {
				key := repo.Bytes(strings.Repeat(b, driver.MaxKey))
				insert(t, blobs, Blob{Key: key, Name: "n"})
				put(t, blobs, Blob{Key: key, Name: "m"})
				t.equal("row", get(t, blobs, key), Blob{Key: key, Name: "m"})
				t.equal("span", list(t, blobs.Between(key, key), Blob.bytes), []repo.Bytes{key})
				t.equal("prefix", list(t, blobs.Prefix(string(key[:driver.MaxKey-1])), Blob.bytes), []repo.Bytes{key})
				equalPages(t, "pages", blobs.All(), Blob.bytes)
				long := key + "a"
				t.tooLarge("insert", func(tx *repo.Tx) error { return blobs.Insert(tx, Blob{Key: long}) })
				t.tooLarge("put", func(tx *repo.Tx) error { return blobs.Put(tx, Blob{Key: long}) })
				t.tooLarge("delete", func(tx *repo.Tx) error { return blobs.Delete(tx, long) })
				t.tooLarge("get", func(tx *repo.Tx) error { _, err := blobs.Get(tx, long); return err })
				t.tooLarge("span", func(tx *repo.Tx) error { _, err := blobs.From(long).Count(tx); return err })
				before := t.rev()
				remove(t, blobs, key)
				t.equal("change", t.changes(before, 1), []string{fmt.Sprintf("+1: deleted blob[x'%x']", string(key))})
			}
			t.equal("rows", len(rows(t, blobs.All())), 0)
		},
	},
	{
		name: "a composite key is limited as a whole",
		why:  "It is one key, however many columns it has.",
		check: func(t *T) {
			const fixed = 1 + 8 + 1 // bool, time, int8: one byte or eight
			free := driver.MaxKey - fixed - 7
			key := WideKey{Flag: true, When: time.UnixMicro(5).UTC(), Raw: repo.Bytes(strings.Repeat("\x00", free/2)), Label: Label(strings.Repeat("b", free-free/2))}
			insert(t, wides, Wide{WideKey: key, Value: "v"})
			t.equal("row", get(t, wides, key).Value, "v")
			key.Label += "b"
			t.tooLarge("insert", func(tx *repo.Tx) error { return wides.Insert(tx, Wide{WideKey: key}) })
			remove(t, wides, rows(t, wides.All())[0].WideKey)
		},
	},
	{
		name: "index columns of 1 KiB are indexed, one byte more is ErrTooLarge",
		why:  "An index entry holds the index columns and the primary key; each is limited by itself.",
		check: func(t *T) {
			for _, c := range []string{"a", "\x00", "é"} {
				key := repo.Bytes(strings.Repeat("\x00", driver.MaxKey))
				name := strings.Repeat(c, driver.MaxKey/len(c))
				put(t, blobs, Blob{Key: key, Name: name}, Blob{Key: "b", Name: name})
				t.equal("eq", list(t, blobsByName.Eq(name), Blob.bytes), []repo.Bytes{key, "b"})
				equalPages(t, "pages", blobsByName.Eq(name), Blob.bytes)
				t.tooLarge("insert", func(tx *repo.Tx) error { return blobs.Insert(tx, Blob{Key: "c", Name: name + "a"}) })
				t.tooLarge("eq", func(tx *repo.Tx) error { _, err := blobsByName.Eq(name + "a").Count(tx); return err })
			}
			hall := strings.Repeat("h", driver.MaxKey/2) // and two columns together
			insert(t, seats, Seat{ID: 1, Hall: hall, Ticket: repo.Bytes(strings.Repeat("\x00", driver.MaxKey/2))})
			t.tooLarge("two columns", func(tx *repo.Tx) error {
				return seats.Insert(tx, Seat{ID: 2, Hall: hall, Ticket: repo.Bytes(strings.Repeat("t", driver.MaxKey/2+1))})
			})
			insert(t, items, Item{ID: "a", Code: ptr(strings.Repeat("c", driver.MaxKey))})
			t.tooLarge("unique", func(tx *repo.Tx) error {
				return items.Put(tx, Item{ID: "b", Code: ptr(strings.Repeat("c", driver.MaxKey+1))})
			})
		},
	},
	{
		name: "a row of 1 MiB is a row, one byte more is ErrTooLarge",
		why:  "Rows travel in requests, logs and change records, whose buffers are made for this size.",
		check: func(t *T) {
			for _, fill := range []byte{'a', 0, 0xFF} {
				row := blobOfSize(driver.MaxRow, fill)
				put(t, blobs, row)
				t.equal("name", get(t, blobs, "large").Name, row.Name)
				if !bytes.Equal(get(t, blobs, "large").Data, row.Data) {
					t.Errorf("1 MiB of 0x%02x does not read back", fill)
				}
				row.Data = append(row.Data, fill)
				t.tooLarge("put", func(tx *repo.Tx) error { return blobs.Put(tx, row) })
			}
			for _, fill := range []string{"\x00", "\x1f", "\"", "é", "😀"} { // JSON escapes some of them, six bytes for one
				text := strings.Repeat(fill, (driver.MaxRow-100)/len(fill))
				put(t, scalars, Scalar{ID: "large", Text: text})
				if get(t, scalars, "large").Text != text {
					t.Errorf("a text of %d times %q does not read back", len(text)/len(fill), fill)
				}
			}
			t.tooLarge("text", func(tx *repo.Tx) error {
				return scalars.Put(tx, Scalar{ID: "large", Text: strings.Repeat("a", driver.MaxRow)})
			})
			t.tooLarge("JSON", func(tx *repo.Tx) error {
				return documents.Put(tx, Document{ID: "a", Any: strings.Repeat("a", driver.MaxRow)})
			})
			t.equal("documents", len(rows(t, documents.All())), 0)
		},
	},
	{
		name: "a commit of 8 MiB is a commit, one byte more is ErrTooLarge and writes nothing",
		why:  "A commit is one entry of a log; a larger one would hold up all others.",
		check: func(t *T) {
			t.update(func(tx *repo.Tx) error { return t.fillCommit(tx, driver.MaxCommit) })
			t.equal("rows", len(list(t, blobs.All(), Blob.bytes)), 9)
			sum := 0
			for _, row := range t.scan(driver.Span{Table: table("blob")}) {
				sum += len(keyOf(table("blob"), row)) + len(row.Canonical(nil, table("blob")))
			}
			t.equal("bytes", sum, driver.MaxCommit)
			t.empty()
			before := t.rev()
			t.tooLarge("commit", func(tx *repo.Tx) error { return t.fillCommit(tx, driver.MaxCommit+1) })
			t.equal("rows", len(rows(t, blobs.All())), 0)
			t.equal("revision", t.rev(), before)
		},
	},
	{
		name: "replacing and deleting rows of a transaction makes room",
		why:  "What counts is what is committed, not what was tried.",
		check: func(t *T) {
			t.update(func(tx *repo.Tx) error {
				for range 20 {
					t.ok(blobs.Put(tx, Blob{Key: "a", Data: make([]byte, 1<<20-100)}))
					t.ok(blobs.Insert(tx, Blob{Key: "b", Data: make([]byte, 1<<20-100)}))
					t.ok(blobs.Delete(tx, "b"))
				}
				return blobs.Put(tx, Blob{Key: "a"})
			})
			t.equal("rows", rows(t, blobs.All()), []Blob{{Key: "a"}})
		},
	},
	{
		name: "a commit of 10,000 writes is a commit, one more is ErrTooLarge and writes nothing",
		why:  "Statements and parameters are counted by SQL backends, which must split what is too much for one of them and still commit it as one.",
		check: func(t *T) {
			write := func(n int) func(tx *repo.Tx) error {
				return func(tx *repo.Tx) error {
					for i := range n {
						if err := items.Put(tx, Item{ID: fmt.Sprintf("%05d", i), Group: fmt.Sprint(i % 7), Order: int64(i), Code: ptr(fmt.Sprint(n, i))}); err != nil {
							return err
						}
					}
					return nil
				}
			}
			before := t.rev()
			t.update(write(driver.MaxWrites))
			t.equal("commits", t.rev()-before, driver.Rev(1))
			t.equal("rows", len(rows(t, items.All())), driver.MaxWrites)
			t.equal("index", len(rows(t, itemsByGroup.Eq("3"))), (driver.MaxWrites+3)/7)
			for c, err := range t.driver.Changes(t.ctx, before) {
				t.ok(err)
				t.equal("keys of the change", len(c.Keys), driver.MaxWrites)
				break
			}
			t.tooLarge("commit", write(driver.MaxWrites+1))
			t.equal("revision", t.rev(), before+1)
			t.update(func(tx *repo.Tx) error { // as many deletes, and a read of everything
				n, err := items.All().Count(tx)
				t.equal("count", n, driver.MaxWrites)
				for i := range n {
					err = errors.Join(err, items.Delete(tx, fmt.Sprintf("%05d", i)))
				}
				return err
			})
			t.equal("rows left", len(rows(t, items.All())), 0)
		},
	},
	{
		name: "a transaction may read many rows one by one",
		why:  "Each of them is a check, and there is no limit on checks.",
		check: func(t *T) {
			const n = 2000
			t.update(func(tx *repo.Tx) error {
				for i := range n {
					if err := items.Insert(tx, Item{ID: fmt.Sprintf("%04d", i)}); err != nil {
						return err
					}
				}
				return nil
			})
			reads := t.rev()
			var checks driver.Checks
			for i := range 2 * n { // half of them absent
				c := driver.RowCheck{Table: itemTable, Key: itemKey(fmt.Sprintf("%04d", i))}
				if i < n {
					c.Rev = reads
				}
				checks.Rows = append(checks.Rows, c)
			}
			insert(t, items, Item{ID: "other"})
			t.checked("after a write of another row", reads, checks, true)
			remove(t, items, "1234")
			t.checked("after a delete of one of them", reads, checks, false)
		},
	},
}

// tooLarge ends the case if a transaction is not refused with ErrTooLarge.
func (t *T) tooLarge(what string, fn func(tx *repo.Tx) error) {
	t.Helper()
	if err := t.store.Update(t.ctx, fn); !errors.Is(err, repo.ErrTooLarge) {
		t.Fatalf("%s: got %v, want ErrTooLarge", what, err)
	}
}

// blobOfSize returns a row whose canonical form has the given size.
func blobOfSize(size int, fill byte) Blob {
	row := Blob{Key: "large", Name: "n"}
	for n := size; ; n-- {
		row.Data = bytes.Repeat([]byte{fill}, n)
		if over := len(table("blob").Encode(nil, &row)) - size; over <= 0 {
			return row
		} else if over > 8 {
			n -= over - 8
		}
	}
}

// fillCommit puts nine rows whose sizes add up to size.
func (t *T) fillCommit(tx *repo.Tx, size int) error {
	def := table("blob")
	for i := range 9 {
		row := Blob{Key: repo.Bytes(fmt.Sprint(i)), Data: make([]byte, 1<<20-40)}
		w := writeOf(driver.Put, def, &row)
		if i == 8 {
			row.Data = make([]byte, 200) // a length of two bytes, as the right one has
			w = writeOf(driver.Put, def, &row)
			row.Data = make([]byte, 200+size-w.Size())
		}
		size -= w.Size()
		if err := blobs.Put(tx, row); err != nil {
			return err
		}
	}
	return nil
}
