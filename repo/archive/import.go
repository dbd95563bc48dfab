package archive

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// By is who puts up the fence of a store that is being filled.
const By = driver.ImportFence

const (
	// stateRow is the row of the state that holds a filling while there is one.
	stateRow = "import"

	// A load is small enough to leave room for others, on every backend.
	loadRows  = 2_000
	loadBytes = 2 << 20
)

// A filling says how far a store has been filled from which archive.
type filling struct {
	Sum  string     `json:"sum"`
	Rev  driver.Rev `json:"rev"`
	Rows int64      `json:"rows"` // the first ones of the archive are there
}

// An importer fills a store.
type importer struct {
	store    driver.Store
	schema   *driver.Schema
	content  repo.Digest
	done     filling
	writes   []driver.Write
	size     int
	progress func(Progress)
}

// Import fills an opened store, which is empty and not yet prepared, from an archive.
// The archive is verified before anything is written. The rows and the store get
// the revisions that they have in the archive. An import that was interrupted is
// taken up by importing the same archive again. progress may be nil.
func Import(ctx context.Context, in io.ReadSeeker, store driver.Store, progress func(Progress)) (repo.Digest, error) {
	start, err := in.Seek(0, io.SeekCurrent)
	if err != nil {
		return repo.Digest{}, fmt.Errorf("import: %w", err)
	}
	checked, err := Verify(ctx, in, progress)
	if err != nil {
		return repo.Digest{}, fmt.Errorf("import: %w", err)
	}
	im := &importer{store: store, schema: checked.Schema, content: checked.Content, progress: progress}
	if err := store.Prepare(ctx, im.schema); err != nil {
		return im.content, fmt.Errorf("import: the store cannot take the archive; import into a new store: %w", err)
	}
	if _, err := in.Seek(start, io.SeekStart); err != nil {
		return im.content, fmt.Errorf("import: %w", err)
	}
	if err := im.run(ctx, in); err != nil {
		return im.content, fmt.Errorf("import: %w", err)
	}
	return im.content, nil
}

func (im *importer) run(ctx context.Context, in io.Reader) error {
	if err := im.begin(ctx); err != nil || im.content.Rev == 0 {
		return err // an archive of revision 0 is that of an empty store
	}
	if err := im.fill(ctx, in); err != nil {
		return err
	}
	got, err := Content(ctx, im.store, im.tables(), im.outOf(im.total()))
	if err != nil {
		return err
	}
	if got.Sum != im.content.Sum || got.Rev != im.content.Rev {
		return fmt.Errorf("the store has revision %d and digest %s after it was filled, the archive %d and %s; it stays closed: import into a new store: %w",
			got.Rev, got.Sum, im.content.Rev, im.content.Sum, driver.ErrCorrupt)
	}
	return im.open(ctx)
}

func (im *importer) tables() []string {
	names := make([]string, len(im.content.Tables))
	for i, t := range im.content.Tables {
		names[i] = t.Table
	}
	return names
}

// total returns the number of rows of the archive.
func (im *importer) total() (n int64) {
	for _, t := range im.content.Tables {
		n += t.Rows
	}
	return n
}

// outOf returns what tells progress of which the total is known.
func (im *importer) outOf(total int64) func(Progress) {
	if im.progress == nil {
		return nil
	}
	return func(p Progress) {
		p.Total = total
		im.progress(p)
	}
}

// fenced checks that the fence has a revision; zero if it is absent.
func (im *importer) fenced(rev driver.Rev) driver.Checks {
	return driver.Checks{Rows: []driver.RowCheck{{Table: im.schema.State, Key: driver.StateKey(driver.FenceRow), Rev: rev}}}
}

// begin closes the store with a fence, or finds that this was done before.
func (im *importer) begin(ctx context.Context) error {
	fence, err := im.look(ctx)
	if err != nil {
		return err
	}
	status, err := im.store.Status(ctx)
	if err != nil {
		return err
	}
	mine := filling{Sum: im.content.Sum, Rev: im.content.Rev, Rows: im.done.Rows}
	switch {
	case fence != nil && fence.By == By && im.done == mine:
		return nil // it is taken up
	case fence != nil && fence.By == By:
		return driver.Failed("begin", driver.ErrInvalid, fmt.Errorf("the store was left half filled from another archive; import that one again, or this one into a new store"))
	case fence != nil:
		return driver.Failed("begin", driver.ErrInvalid, fmt.Errorf("the store is in use by migration %s; import into a new store", fence.By))
	case status.Rev != 0:
		return driver.Failed("begin", driver.ErrInvalid, fmt.Errorf("the store is not empty: it has revision %d; import into a new store", status.Rev))
	}
	if im.done = mine; im.content.Rev == 0 {
		return nil
	}
	err = im.close(ctx)
	if !errors.Is(err, driver.ErrConflict) {
		return err
	}
	// Somebody has put up a fence: this import, if it is sent twice.
	if fence, lookErr := im.look(ctx); lookErr != nil || fence == nil || fence.By != By || im.done != mine {
		return errors.Join(err, lookErr)
	}
	return nil
}

// close closes the empty store and gives it the revision of the archive.
func (im *importer) close(ctx context.Context) error {
	fence, err := im.schema.PutState(driver.FenceRow, driver.Fence{Closed: true, By: By}, im.content.Rev)
	if err != nil {
		return err
	}
	state, err := im.schema.PutState(stateRow, im.done, im.content.Rev)
	if err != nil {
		return err
	}
	change := driver.Change{Rev: im.content.Rev}
	sum, err := hex.DecodeString(im.content.Sum)
	if err != nil {
		return err
	}
	copy(change.ID[:], sum)
	return im.load(ctx, &driver.Commit{Load: &driver.Load{Changes: []driver.Change{change}}, Checks: im.fenced(0), Writes: []driver.Write{fence, state}})
}

// open takes the fence away.
func (im *importer) open(ctx context.Context) error {
	err := im.load(ctx, &driver.Commit{
		Load: &driver.Load{}, Checks: im.fenced(im.content.Rev),
		Writes: []driver.Write{im.schema.DeleteState(driver.FenceRow), im.schema.DeleteState(stateRow)},
	})
	if !errors.Is(err, driver.ErrConflict) {
		return err
	}
	if fence, lookErr := im.look(ctx); lookErr != nil || fence != nil {
		return errors.Join(err, lookErr)
	}
	return nil // it was sent twice
}

// look reads the fence, nil if there is none, and how far the store is filled.
func (im *importer) look(ctx context.Context) (*driver.Fence, error) {
	if _, err := readState(ctx, im.store, im.schema, stateRow, &im.done); err != nil {
		return nil, err
	}
	return Fence(ctx, im.store, im.schema)
}

// fill loads the rows that are not there yet.
func (im *importer) fill(ctx context.Context, in io.Reader) error {
	r, err := NewReader(in)
	if err != nil {
		return err
	}
	p := Progress{What: "importing", Total: im.total()}
	there := im.done.Rows
	for row, err := range r.Rows() {
		if err != nil {
			return err
		}
		if p.Rows++; p.Rows <= there {
			continue
		}
		w := driver.Write{Kind: driver.Put, Table: row.Table, Key: row.Key, Data: bytes.Clone(row.Data), Rev: row.Rev}
		w.Table = im.schema.Tables[row.Table.ID] // that of this store
		if len(im.writes) == loadRows || im.size+w.Size() > loadBytes {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
		im.writes, im.size = append(im.writes, w), im.size+w.Size()
		p.tell(im.progress)
	}
	return im.flush(ctx)
}

// flush loads the rows that have been gathered.
func (im *importer) flush(ctx context.Context) error {
	if len(im.writes) == 0 {
		return nil
	}
	done := im.done
	done.Rows += int64(len(im.writes))
	state, err := im.schema.PutState(stateRow, done, im.content.Rev)
	if err != nil {
		return err
	}
	c := &driver.Commit{Load: &driver.Load{}, Checks: im.fenced(im.content.Rev), Writes: append(im.writes, state)}
	im.writes, im.size = nil, 0 // the commit belongs to the store now
	if err := im.load(ctx, c); err != nil {
		return err
	}
	im.done = done
	return nil
}

// load commits a load, again if it is not known what became of it.
func (im *importer) load(ctx context.Context, c *driver.Commit) error {
	wait := 100 * time.Millisecond
	for try := 1; ; try++ {
		_, err := im.store.Commit(ctx, c)
		again := errors.Is(err, driver.ErrUncertain) || errors.Is(err, driver.ErrUnavailable)
		switch {
		case err == nil:
			return nil
		case !again || try == attempts || ctx.Err() != nil:
			return fmt.Errorf("load after %d rows (the same import again goes on from there): %w", im.done.Rows, err)
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
		}
	}
}
