package steady

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// A Run is the row of the table that an empty store gets: that of cmd/example.
type Run struct {
	ID      string    `db:"id"`
	Channel string    `db:"channel"`
	Number  int64     `db:"number"`
	Author  string    `db:"author"`
	Tags    []string  `db:"tags"`
	Created time.Time `db:"created"`
}

func exampleSchema() *repo.Schema {
	runs := repo.NewTable("runs", func(r *Run) *string { return &r.ID })
	return repo.NewSchema(runs,
		repo.NewUnique2(runs, func(r *Run) (*string, *int64) { return &r.Channel, &r.Number }),
		repo.NewIndex2(runs, func(r *Run) (*string, *time.Time) { return &r.Channel, &r.Created }))
}

// A Store is an open store that rows can be made up for.
type Store struct {
	driver driver.Store
	table  *driver.Table
	run    string // begins the IDs of this process's rows
	base   int64  // and their numbers
}

// Open opens the store that name stands for, with the schema that is stored there, or
// with that of cmd/example if nothing is.
func Open(ctx context.Context, name string) (*Store, error) {
	url, err := repo.Resolve(name)
	if err != nil {
		return nil, err
	}
	d, err := prepare(ctx, url, nil)
	if err != nil && errors.Is(err, driver.ErrInvalid) {
		// Nothing is stored there, or something else is wrong, which is said again.
		d, err = prepare(ctx, url, exampleSchema().Driver())
	}
	if err != nil {
		return nil, err
	}
	st, err := d.Status(ctx)
	if err == nil && len(st.Schema.Tables) == 0 {
		err = driver.Failed("load", driver.ErrInvalid, errors.New("the store has no tables"))
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &Store{
		driver: d,
		table:  st.Schema.Tables[0],
		run:    fmt.Sprintf("%s-%04x", time.Now().UTC().Format("20060102150405"), rand.N(1<<16)),
		base:   rand.Int64N(1<<22) << 40,
	}, nil
}

func prepare(ctx context.Context, url string, s *driver.Schema) (driver.Store, error) {
	d, err := driver.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := d.Prepare(ctx, s); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.driver.Close() }

// write returns a write of a row that is made up from an ID and a number.
func (s *Store) write(kind driver.WriteKind, id string, n int64) (driver.Write, error) {
	w := driver.Write{Kind: kind, Table: s.table}
	values := make([]driver.Value, len(s.table.Columns))
	for i, c := range s.table.Columns {
		values[i] = s.value(c.Kind, id, n)
	}
	var key []byte
	var err error
	for _, at := range s.table.Key {
		if key, err = driver.AppendKeyValue(key, s.table.Columns[at], values[at]); err != nil {
			return w, fmt.Errorf("make a row of %s up: %w", s.table.Name, err)
		}
	}
	w.Key = driver.Key(key)
	if w.Data, err = driver.AppendValues(nil, s.table.Columns, values); err != nil {
		return w, fmt.Errorf("make a row of %s up: %w", s.table.Name, err)
	}
	return w, nil
}

func (s *Store) value(kind driver.Kind, id string, n int64) driver.Value {
	switch kind {
	case driver.Bool:
		return n & 1
	case driver.Int:
		return s.base + n
	case driver.Time:
		return epoch.UnixMicro() + n
	case driver.Float:
		return float64(n)
	case driver.Bytes:
		return []byte(id)
	case driver.JSON:
		return "null" // stands for a value of any Go type
	}
	return id
}

// epoch is the time that is made up for row 0.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	fillCommit = 1000  // rows in a commit of Fill
	readChunk  = 5_000 // rows in a read
)

// Fill adds rows until the table has so many. It returns how many it has added, and
// tells shown now and then how many there are.
func (s *Store) Fill(ctx context.Context, rows int64, shown func(rows int64)) (added int64, err error) {
	there := int64(0)
	if err := s.each(ctx, func(driver.Key, driver.Rev) { there++ }); err != nil {
		return 0, err
	}
	for there+added < rows {
		n := min(fillCommit, rows-there-added)
		c := &driver.Commit{ID: newID()}
		for i := range n {
			w, err := s.write(driver.Insert, fmt.Sprintf("%s-r%08d", s.run, added+i), added+i)
			if err != nil {
				return added, err
			}
			c.Writes = append(c.Writes, w)
		}
		if _, err := s.settle(ctx, c); err != nil {
			return added, fmt.Errorf("fill the store: %w", err)
		}
		added += n
		shown(there + added)
	}
	return added, nil
}

// each calls fn with every row of the table, in the order of keys.
func (s *Store) each(ctx context.Context, fn func(driver.Key, driver.Rev)) error {
	after := driver.Key("")
	for {
		n, last, err := s.some(ctx, after, fn)
		switch {
		case errors.Is(err, driver.ErrConflict):
			continue // somebody else has written meanwhile
		case err != nil:
			return fmt.Errorf("read %s: %w", s.table.Name, err)
		case n < readChunk:
			return nil
		}
		after = last
	}
}

// some reads the rows behind a key, and only then calls fn with them.
func (s *Store) some(ctx context.Context, after driver.Key, fn func(driver.Key, driver.Rev)) (n int, last driver.Key, err error) {
	snap, err := s.driver.Begin(ctx, driver.Mode{})
	if err != nil {
		return 0, after, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	keys, revs := make([]driver.Key, 0, readChunk), make([]driver.Rev, 0, readChunk)
	span := driver.Span{Table: s.table, Lo: driver.Bound{Tuple: after, Open: after != ""}, Limit: readChunk}
	for row, err := range snap.Scan(ctx, span) {
		if err != nil {
			return 0, after, err
		}
		live := row.Value
		if live == nil {
			if live, err = s.table.Decode(row.Data); err != nil {
				return 0, after, err
			}
		}
		keys, revs = append(keys, driver.Key(s.table.AppendKey(nil, 0, live))), append(revs, row.Rev)
	}
	for i, key := range keys {
		fn(key, revs[i])
		after = key
	}
	return len(keys), after, nil
}

// settleWait is how long a commit is sent again whose outcome is not known.
const settleWait = 30 * time.Second

// settle sends a commit until its outcome is known. Its ID makes that harmless.
func (s *Store) settle(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	rev, err := s.driver.Commit(ctx, c)
	for pause := time.Millisecond; errors.Is(err, driver.ErrUncertain); pause = min(2*pause, time.Second) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, err
		}
		var again error
		if rev, again = s.driver.Commit(ctx, c); !errors.Is(again, driver.ErrUnavailable) && ctx.Err() == nil {
			err = again
		}
	}
	return rev, err
}

// newID returns an ID for a commit, like those of package repo: the time first.
func newID() (id driver.CommitID) {
	ms := uint64(time.Now().UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	for i := 6; i < len(id); i++ {
		id[i] = byte(rand.N(256))
	}
	return id
}
