package simulate

import (
	"bytes"
	"context"
	"fmt"

	"trihold/internal/verify"
	"trihold/repo"
	"trihold/repo/driver"
)

// A verdict is what a check found.
type verdict struct {
	lost     int      // acknowledged commits that are gone
	problems []string // of any kind, the lost ones included
}

func (v *verdict) problem(format string, args ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// check holds a store, on which nobody works, against the history. What it finds
// is the truth from then on.
func (h *history) check(ctx context.Context, s *repo.Store) (v verdict) {
	d := s.Driver()
	status, err := d.Status(ctx)
	if err != nil {
		v.problem("status: %v", err)
		return v
	}
	changes, err := changesUpTo(ctx, d, status.Rev)
	if err != nil {
		v.problem("changes from the beginning on: %v", err)
	}
	h.judge(&v, status, changes)
	if len(v.problems) > 0 {
		return v // the content cannot be right either
	}
	if err := h.compare(ctx, s); err != nil {
		v.problem("%v", err)
	}
	if err := verify.Store(ctx, d, h.model.schema); err != nil {
		v.problem("%v", err)
	}
	return v
}

// judge judges the commits that a store tells of.
func (h *history) judge(v *verdict, status driver.Status, changes []driver.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if status.Rev < h.seen {
		v.problem("the store is at revision %d, but %d has been seen", status.Rev, h.seen)
	}
	h.settle(v, changes)
	for _, a := range h.attempts {
		if a.acked && a.gone {
			v.lost++
			if v.lost <= 3 {
				v.problem("the commit acknowledged at revision %d is gone; the store is at %d", a.rev, status.Rev)
			}
		}
	}
}

// changesUpTo returns the changes after revision 0.
func changesUpTo(ctx context.Context, d driver.Store, to driver.Rev) (all []driver.Change, err error) {
	if to == 0 {
		return nil, nil
	}
	for c, err := range d.Changes(ctx, 0) {
		if err != nil {
			return all, err
		}
		all = append(all, c)
		if c.Rev >= to {
			break
		}
	}
	return all, nil
}

// settle judges the order of commits that a store tells, and replays it.
func (h *history) settle(v *verdict, changes []driver.Change) {
	found := map[*attempt]bool{}
	for i, c := range changes {
		a := h.attempts[c.ID]
		if c.Rev != driver.Rev(i+1) {
			v.problem("revision %d follows %d", c.Rev, i)
			return
		}
		if why := h.unexpected(a, c); why != "" {
			v.problem("revision %d: %s", c.Rev, why)
			return
		}
		if found[a] {
			v.problem("revision %d is a commit that is there already", c.Rev)
		}
		found[a] = true
		if i < len(h.settled) {
			if h.settled[i] != a {
				v.problem("revision %d is another commit than before", c.Rev)
				return
			}
			continue
		}
		a.rev = c.Rev
		h.settled = append(h.settled, a)
		if err := h.model.apply(a.commit); err != nil {
			v.problem("revision %d should have been refused: %v", c.Rev, err)
			return
		}
	}
	if len(changes) < len(h.settled) {
		v.problem("the store ends at revision %d; an earlier start has shown %d", len(changes), len(h.settled))
	}
	for _, a := range h.attempts {
		a.gone = !found[a]
	}
}

// unexpected returns why a commit should not be there, or not so.
func (h *history) unexpected(a *attempt, c driver.Change) string {
	switch {
	case a == nil:
		return "a commit that nobody sent"
	case a.gone:
		return "a commit that an earlier start has shown not to be there"
	case !a.acked && !a.maybe && a.pending == 0:
		return "a commit that was refused with: " + a.refusal
	case a.acked && a.rev != c.Rev && a.rev != 0:
		return fmt.Sprintf("a commit that was acknowledged at revision %d", a.rev)
	}
	keys := map[driver.ChangedKey]bool{}
	for _, k := range c.Keys {
		keys[k] = true
	}
	for _, w := range a.commit.Writes {
		if !keys[driver.ChangedKey{Table: w.Table, Key: w.Key, Deleted: w.Kind == driver.Delete}] {
			return "a commit that is said not to touch row " + w.Table.FormatKey(w.Key)
		}
	}
	if len(keys) != len(a.commit.Writes) {
		return fmt.Sprintf("a commit of %d writes, said to touch %d rows", len(a.commit.Writes), len(keys))
	}
	return ""
}

// compare compares the rows with those of the model.
func (h *history) compare(ctx context.Context, s *repo.Store) error {
	snap, err := s.Driver().Begin(ctx, driver.Mode{})
	if err != nil {
		return err
	}
	defer snap.Close()
	if snap.Rev() != h.model.rev {
		return fmt.Errorf("a snapshot has revision %d, the commits end at %d", snap.Rev(), h.model.rev)
	}
	for _, t := range h.model.schema.Tables {
		want := h.model.rows[t.ID]
		n := 0
		for r, err := range snap.Scan(ctx, driver.Span{Table: t}) {
			if err != nil {
				return err
			}
			data := r.Canonical(nil, t)
			live, err := t.Decode(data)
			if err != nil {
				return err
			}
			key := driver.Key(t.AppendKey(nil, 0, live))
			w, ok := want[key]
			switch {
			case !ok:
				return fmt.Errorf("table %s holds row %s, which no commit has left there", t.Name, t.FormatKey(key))
			case w.rev != r.Rev:
				return fmt.Errorf("table %s: row %s has revision %d, want %d", t.Name, t.FormatKey(key), r.Rev, w.rev)
			case !bytes.Equal(w.data, data):
				return fmt.Errorf("table %s: row %s of revision %d has another content than was written", t.Name, t.FormatKey(key), r.Rev)
			}
			n++
		}
		if n != len(want) {
			return fmt.Errorf("table %s holds %d rows, want %d", t.Name, n, len(want))
		}
	}
	d, err := s.Digest(ctx)
	if err == nil && d.Sum != h.model.digest() {
		err = fmt.Errorf("the digest is %s, want %s", d.Sum, h.model.digest())
	}
	return err
}
