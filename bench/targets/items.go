package targets

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"trihold/repo"
)

// An item is a row with three indices.
type item struct {
	ID      string    `db:"id"`
	Owner   int64     `db:"owner"`
	Title   string    `db:"title"`
	Body    string    `db:"body"`
	Done    bool      `db:"done"`
	Created time.Time `db:"created"`
}

var (
	items      = repo.NewTable("items", func(i *item) *string { return &i.ID })
	byOwner    = repo.NewIndex2(items, func(i *item) (*int64, *time.Time) { return &i.Owner, &i.Created })
	byTitle    = repo.NewUnique1(items, func(i *item) *string { return &i.Title })
	byCreated  = repo.NewIndex1(items, func(i *item) *time.Time { return &i.Created })
	itemSchema = repo.NewSchema(items, byOwner, byTitle, byCreated)
)

func newItem(n int64) item {
	return item{
		ID: fmt.Sprintf("item%012d", n), Owner: n / 50, Title: fmt.Sprintf("title %d", n), Body: noteBody[:80],
		Created: time.UnixMicro(1_700_000_000_000_000 + n*1000).UTC(),
	}
}

// An itemStore is an inmem store of items in class disk.
type itemStore struct {
	dir   string
	url   string
	store *repo.Store
}

func openItems(ctx context.Context, l *lab, m *plainItems) (*itemStore, error) {
	dir, err := l.directory()
	if err != nil {
		return nil, err
	}
	// Snapshots come as often as they can, so that one can be waited for.
	s := &itemStore{dir: dir, url: "inmem:" + dir + "/data?class=disk&snapshot_bytes=1"}
	if s.store, err = repo.Open(ctx, s.url, itemSchema); err != nil {
		return nil, err
	}
	if err := loadItems(ctx, s.store, int64(len(m.keys))); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	return s, nil
}

// loadItems inserts items.
func loadItems(ctx context.Context, s *repo.Store, rows int64) error {
	const batch = 5000
	for from := int64(0); from < rows; from += batch {
		err := s.Update(ctx, func(tx *repo.Tx) error {
			for n := from; n < min(from+batch, rows); n++ {
				if err := items.Insert(tx, newItem(n)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("load items: %w", err)
		}
	}
	return nil
}

func (s *itemStore) get(ctx context.Context, key string) error {
	return s.store.View(ctx, func(tx *repo.ReadTx) error {
		_, err := items.Get(tx, key)
		return err
	})
}

func (s *itemStore) span(ctx context.Context, lo, hi string) (n int, err error) {
	err = s.store.View(ctx, func(tx *repo.ReadTx) error {
		n = 0
		for _, err := range items.Between(lo, hi).Rows(tx) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

func (s *itemStore) put(ctx context.Context, key, body string) error {
	return s.store.Update(ctx, func(tx *repo.Tx) error {
		row, err := items.Get(tx, key)
		if err != nil {
			return err
		}
		row.Body = body
		return items.Put(tx, row)
	})
}

// reopen closes the store and returns the seconds until it can be read again.
func (s *itemStore) reopen(ctx context.Context, key string) (float64, error) {
	if err := s.store.Close(); err != nil {
		return 0, err
	}
	start := time.Now()
	store, err := repo.Open(ctx, s.url, itemSchema)
	if err != nil {
		return 0, err
	}
	s.store = store
	err = s.get(ctx, key)
	return time.Since(start).Seconds(), err
}

// write writes the rows to a file: the length of each in four bytes, and its
// canonical form.
func (m *plainItems) write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var buf []byte
	for _, key := range m.keys {
		buf = itemSchema.Driver().Tables[0].Encode(buf[:0], m.rows[key])
		var size [4]byte
		binary.LittleEndian.PutUint32(size[:], uint32(len(buf)))
		if _, err := w.Write(append(size[:], buf...)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

// readPlain reads the file and decodes every row, and returns the seconds.
func readPlain(path string) (seconds float64, err error) {
	start := time.Now()
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	decode := itemSchema.Driver().Tables[0].Decode
	var rows []any
	var buf []byte
	for {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, err
		}
		n := int(binary.LittleEndian.Uint32(size[:]))
		if n > cap(buf) {
			buf = make([]byte, n)
		}
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			return 0, err
		}
		row, err := decode(buf[:n])
		if err != nil {
			return 0, err
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return 0, errors.New("the plain file is empty")
	}
	return time.Since(start).Seconds(), nil
}
