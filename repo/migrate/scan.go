package migrate

import (
	"context"
	"errors"
	"fmt"

	"trihold/repo/driver"
)

// A keyed is a row with its key.
type keyed struct {
	key driver.Key
	stored
}

// A chunk is the rows of a range of a table at one revision: behind after, in the
// order of the primary key.
type chunk struct {
	rev  driver.Rev
	rows []keyed
	end  bool // there are no rows behind these
}

// scan reads the rows behind a key: at most limit of them and maxChunkBytes, or, if
// to is not empty, all up to and with that key.
func scan(ctx context.Context, store driver.Store, t *driver.Table, after, to driver.Key, limit int) (c chunk, err error) {
	snap, err := store.Begin(ctx, driver.Mode{Closed: true})
	if err != nil {
		return c, err
	}
	defer func() {
		c.rev = snap.Rev()
		if err = errors.Join(err, snap.Close()); err != nil {
			err = fmt.Errorf("scan %s: %w", t.Name, err)
		}
	}()
	span := driver.Span{Table: t, Lo: driver.Bound{Tuple: after, Open: after != ""}, Limit: limit}
	if to != "" {
		span.Hi, span.Limit = driver.Bound{Tuple: to}, 0
	}
	size := 0
	c.end = true
	for row, err := range snap.Scan(ctx, span) {
		if err != nil {
			return c, err
		}
		k := keyed{stored: stored{rev: row.Rev, data: row.Canonical(nil, t)}}
		if k.key, err = keyOf(t, row, k.data); err != nil {
			return c, err
		}
		c.rows = append(c.rows, k)
		if size += len(k.data); to == "" && size > maxChunkBytes {
			c.end = false
			break
		}
	}
	if to == "" && len(c.rows) == limit {
		c.end = false
	}
	return c, nil
}

// maxChunkBytes bounds what is held of a range at a time.
const maxChunkBytes = 4 << 20

// keyOf returns the primary key of a row.
func keyOf(t *driver.Table, row driver.Row, data []byte) (driver.Key, error) {
	live := row.Value
	if live == nil {
		var err error
		if live, err = t.Decode(data); err != nil {
			return "", err
		}
	}
	return driver.Key(t.AppendKey(nil, 0, live)), nil
}
