package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trihold/repo/driver"
)

// A mover makes one store follow another. It belongs to one goroutine, and knows
// nothing of pausing, throttling or anybody's commands.
//
// Its argument. The live store's commits are taken in order, and the rows that they
// wrote are read as they are at that moment, which is at the commit or later. The
// follower has then, of each row, the value of some revision at or after the
// position; whatever was written later is in a commit behind the position, and comes
// again. So the two are equal whenever the position is the live store's revision and
// the live store rests. A chunk of a copy is read at a revision S, and is loaded
// only together with or after all commits that were taken before, none of which is
// beyond S: what a chunk brings is never older than the position, so no row comes
// back that a commit before the position has deleted.
//
// While the two are compared, no row may get lost on the way, not even for a moment: a
// row that displaces another one in a unique index would take it out of the sums. So a
// row of such a table whose value is of a commit behind the position is left out until
// that commit is applied; what the follower has of the table is then part of the live
// store's state at the position, where the index is unique.
type mover struct {
	live, follower *side
	schema         *driver.Schema
	tail           *tail
	chunkRows      int   // that the next chunk of a copy may have
	rangeRows      int   // that the next range of a comparison may have
	sums           *sums // nil unless the sides have been compared
	// stale is set when a load has failed and what became of it is not known: the
	// record and the tail must be read again before the next step.
	stale bool
}

const (
	chunkTime = 60 * time.Millisecond // what a chunk should take
	minChunk  = 64
	maxChunk  = 5000
)

func newMover(ctx context.Context, live, follower *side) *mover {
	m := &mover{live: live, follower: follower, schema: live.schema, chunkRows: 500, rangeRows: maxRange}
	m.tail = follow(ctx, live.store, follower.record.Applied)
	return m
}

func (m *mover) close() { m.tail.close() }

// fence is the fence that keeps a follower a follower.
func (m *mover) fence() *driver.Fence {
	return &driver.Fence{Closed: true, To: m.live.name, By: m.live.record.ID}
}

// begin makes the follower, which is empty, a follower. The live store's record says
// since when.
func (m *mover) begin(ctx context.Context, rev driver.Rev, id driver.CommitID) error {
	next := m.live.record
	next.Follows, next.Applied, next.Base = true, rev, rev
	base := driver.Change{Rev: rev, ID: id, Keys: []driver.ChangedKey{{Table: m.schema.State, Key: driver.StateKey(RecordRow)}}}
	return m.follower.load(ctx, 0, []driver.Change{base}, nil, next, fenceChange{up: m.fence()})
}

// copySome copies the next chunk, and applies the commits up to it. It reports how
// many rows it has copied; the record says when there are no more.
func (m *mover) copySome(ctx context.Context) (rows int, err error) {
	start := time.Now()
	next := m.follower.record
	t := m.schema.Tables[next.Table]
	c, err := scan(ctx, m.live.store, t, driver.Key(next.Key), "", m.chunkRows)
	if err != nil {
		m.chunkRows = max(minChunk, m.chunkRows/2) // a smaller one may pass between two writes
		return 0, err
	}
	took := time.Since(start)
	changes, err := m.tail.take(c.rev)
	if err != nil {
		return 0, err
	}
	writes, _, err := m.writesOf(ctx, changes, 1<<63-1)
	if err != nil {
		m.tail.unread(changes)
		return 0, err
	}
	fresh := make(map[driver.Key]bool, len(writes))
	for i := range writes {
		if writes[i].Table == t {
			fresh[writes[i].Key] = true
		}
	}
	for _, r := range c.rows {
		next.Bytes += int64(len(r.data))
		if !fresh[r.key] {
			writes = append(writes, driver.Write{Kind: driver.Put, Table: t, Key: r.key, Data: r.data, Rev: r.rev})
		}
		next.Key = []byte(r.key)
	}
	next.Rows += int64(len(c.rows))
	if c.end {
		next.Table, next.Key = next.Table+1, nil
		if next.Table == len(m.schema.Tables) {
			next.Phase = Tailing
		}
	}
	start = time.Now()
	if err := m.bring(ctx, changes, writes, next); err != nil {
		return 0, err
	}
	if len(c.rows) == m.chunkRows {
		// What the commits took that came along is not counted: while many of them
		// wait, chunks would shrink until no rows were copied any more.
		took += time.Since(start) * time.Duration(len(c.rows)) / time.Duration(max(len(c.rows), len(writes)))
		ideal := int(float64(m.chunkRows) * float64(chunkTime) / float64(took))
		m.chunkRows = min(maxChunk, max(minChunk, min(ideal, 2*m.chunkRows)))
	}
	return len(c.rows), nil
}

// writesOf returns the writes that bring what commits have touched, and the rows as they
// were read. The rows of tables with unique indices that are later than a revision are
// marked as late, and deleted for now.
func (m *mover) writesOf(ctx context.Context, changes []driver.Change, upTo driver.Rev) ([]driver.Write, []stored, error) {
	refs := touched(changes, m.schema.State)
	rows, err := fetch(ctx, m.live.store, refs)
	if err != nil {
		return nil, nil, err
	}
	writes := make([]driver.Write, len(refs))
	for i, ref := range refs {
		writes[i] = driver.Write{Kind: driver.Put, Table: ref.table, Key: ref.key, Data: rows[i].data, Rev: rows[i].rev}
		rows[i].late = rows[i].rev > upTo && unique(ref.table)
		if rows[i].rev == 0 || rows[i].late {
			writes[i] = driver.Write{Kind: driver.Delete, Table: ref.table, Key: ref.key}
		}
	}
	return writes, rows, nil
}

func unique(t *driver.Table) bool {
	return slices.ContainsFunc(t.Indices, func(x *driver.Index) bool { return x.Unique })
}

// bring loads writes and commits into the follower.
func (m *mover) bring(ctx context.Context, changes []driver.Change, writes []driver.Write, next Record) error {
	at := m.follower.record.Applied
	f := fenceChange{}
	if n := len(changes); n > 0 {
		next.Applied, f.up = changes[n-1].Rev, m.fence()
	}
	err := m.follower.load(ctx, at, changes, writes, next, f)
	m.stale = m.stale || err != nil
	return err
}

// tailSome applies the next commits, and reports how many.
func (m *mover) tailSome(ctx context.Context) (commits int, err error) {
	changes, err := m.tail.take(driver.Rev(1<<63 - 1))
	if err != nil || len(changes) == 0 {
		return 0, err
	}
	var before, rows []stored
	var writes []driver.Write
	refs := touched(changes, m.schema.State)
	if m.sums != nil {
		before, err = fetch(ctx, m.follower.store, refs)
	}
	if err == nil {
		writes, rows, err = m.writesOf(ctx, changes, changes[len(changes)-1].Rev)
	}
	if err != nil {
		m.tail.unread(changes)
		return 0, err
	}
	if err := m.bring(ctx, changes, writes, m.follower.record); err != nil {
		return 0, err
	}
	if m.sums != nil {
		after, err := fetch(ctx, m.follower.store, refs)
		if err != nil {
			m.sums = nil // what was brought has not been compared: begin again
			return 0, err
		}
		m.sums.replace(refs, before, rows, after, len(changes))
	}
	return len(changes), nil
}

// refresh makes a stale mover go on from what the follower says. What was compared has
// to be compared again.
func (m *mover) refresh(ctx context.Context) error {
	if !m.stale {
		return nil
	}
	if err := m.follower.reload(ctx); err != nil {
		return err
	}
	m.tail.close()
	m.tail = follow(ctx, m.live.store, m.follower.record.Applied)
	m.sums, m.stale = nil, false
	return nil
}

// repair writes the rows that differ once more, whatever the follower has.
func (m *mover) repair(ctx context.Context, refs []rowRef) error {
	var deletes []driver.Write
	for _, ref := range refs {
		deletes = append(deletes, driver.Write{Kind: driver.Delete, Table: ref.table, Key: ref.key})
	}
	if err := m.bring(ctx, nil, deletes, m.follower.record); err != nil {
		return err
	}
	rows, err := fetch(ctx, m.live.store, refs)
	if err != nil {
		return err
	}
	var puts []driver.Write
	for i, ref := range refs {
		if rows[i].rev != 0 {
			puts = append(puts, driver.Write{Kind: driver.Put, Table: ref.table, Key: ref.key, Data: rows[i].data, Rev: rows[i].rev})
		}
	}
	return m.bring(ctx, nil, puts, m.follower.record)
}

// equal reports whether two rows are the same.
func (s stored) equal(o stored) bool { return s.rev == o.rev && bytes.Equal(s.data, o.data) }

// passing reports whether an error may be gone when the same is tried again.
func passing(err error) bool {
	for _, kind := range []error{driver.ErrConflict, driver.ErrUnavailable, driver.ErrUncertain, errBehind, context.DeadlineExceeded} {
		if errors.Is(err, kind) && !errors.Is(err, errTakenOver) {
			return true
		}
	}
	return false
}

// describe returns a row's name for people.
func (r rowRef) describe() string {
	return fmt.Sprintf("%s[%s]", r.table.Name, r.table.FormatKey(r.key))
}
