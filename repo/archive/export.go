package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// A File is what an archive is exported to. An export that has met a conflict begins
// again, at the start of the file. *os.File is one.
type File interface {
	io.Writer
	io.Seeker
	Truncate(size int64) error
}

// Export writes the named tables of a prepared store, or all of them if none is
// named, to a file: the state of all of them at one revision, which the result says.
// The store may be used meanwhile. progress may be nil.
func Export(ctx context.Context, store driver.Store, file File, tables []string, progress func(Progress)) (repo.Digest, error) {
	fail := func(err error) (repo.Digest, error) { return repo.Digest{}, fmt.Errorf("export: %w", err) }
	chosen, status, err := choose(ctx, store, tables)
	if err != nil {
		return fail(err)
	}
	h := Header{Backend: status.Backend, Class: status.Class, Created: time.Now().UTC().Truncate(time.Second), Schema: json.RawMessage(status.Schema.Describe())}
	for _, t := range chosen {
		h.Tables = append(h.Tables, t.Name)
	}
	var d repo.Digest
	err = consistently(ctx, func() error {
		if err := file.Truncate(0); err != nil {
			return err
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		d, err = export(ctx, store, file, h, chosen, progress)
		return err
	})
	if err != nil {
		return fail(err)
	}
	return d, nil
}

// export is one attempt.
func export(ctx context.Context, store driver.Store, out io.Writer, h Header, tables []*driver.Table, progress func(Progress)) (repo.Digest, error) {
	w, err := newWriter(out, h)
	if err != nil {
		return repo.Digest{}, err
	}
	d, err := walk(ctx, store, driver.Mode{}, tables, Progress{What: "exporting"}, progress, func(t *driver.Table, rev driver.Rev, data []byte) error {
		w.row(t, rev, data)
		return w.err
	})
	if err != nil {
		return d, err
	}
	content, err := json.Marshal(d)
	if err != nil {
		return d, fmt.Errorf("describe content: %w", err)
	}
	return d, w.finish(content)
}
