package repotest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"trihold/repo"
	"trihold/repo/driver"
)

// A History is a sequence of transactions by one client over the tables of
// [Schema], with commits of another client between the reads of some of them and
// their commits. Run on any backend, from empty tables, it gives the same
// [Transcript].
type History struct {
	turns []turn
}

// NewHistory returns a random history of n turns. The same seed gives the same
// history.
func NewHistory(seed uint64, n int) History {
	rnd := rand.New(rand.NewPCG(seed, 0))
	return generateHistory(rnd.IntN, n)
}

// String returns what the history does, a line for each operation.
func (h History) String() string {
	var b strings.Builder
	for i, s := range h.turns {
		fmt.Fprintf(&b, "%d %s\n", i+1, s.what)
		for _, o := range s.ops {
			fmt.Fprintf(&b, "   %s\n", o.text)
		}
		for _, o := range s.other {
			fmt.Fprintf(&b, "   meanwhile another commits: %s\n", o.text)
		}
	}
	return b.String()
}

// A Transcript is what a history was answered, a line for each operation.
// Revisions in it count from the beginning of the history.
type Transcript []string

// String returns the lines of the transcript.
func (t Transcript) String() string { return strings.Join(t, "\n") + "\n" }

// Diff returns where the transcript parts from the one that is wanted, after all
// that they share, or empty if they are equal.
func (t Transcript) Diff(want Transcript) string {
	line := func(t Transcript, i int) string {
		if i < len(t) {
			return t[i]
		}
		return "(nothing)"
	}
	for i := range max(len(t), len(want)) {
		if got, want := line(t, i), line(want, i); got != want {
			return fmt.Sprintf("%shere the answers part:\n got %s\nwant %s", t[:i], got, want)
		}
	}
	return ""
}

// A turnKind says what a turn of a history is: a transaction, or something else
// that its client does.
type turnKind int

const (
	turnUpdate turnKind = iota
	turnAbort           // an Update whose closure returns an error
	turnView
	turnResend // a commit that is sent twice
	turnChanges
	turnDigest
	turnReopen
)

type turn struct {
	kind  turnKind
	what  string
	ops   []op
	other []op // writes that another client commits after the first run of ops
}

// An op is one operation on a table. Its answer is part of the transcript.
type op struct {
	text string
	run  func(tx repo.Reader) string
}

// Run runs the history on a store whose tables are empty. If reopen is not nil,
// it is called where the history closes the store and opens it again.
func (h History) Run(ctx context.Context, s *repo.Store, reopen func() *repo.Store) Transcript {
	r := &historyRun{ctx: ctx, store: s, reopen: reopen}
	r.base, _ = r.rev()
	r.told = r.base
	for i, s := range h.turns {
		r.log("%d %s", i+1, s.what)
		r.turn(s)
		rev, err := r.rev()
		r.log("   at +%d%s", rev-r.base, failure(err))
	}
	r.end()
	return r.lines
}

// A historyRun is a history on its way through a store.
type historyRun struct {
	ctx    context.Context
	store  *repo.Store
	reopen func() *repo.Store
	lines  Transcript
	base   driver.Rev // at the beginning
	told   driver.Rev // changes up to here are in the transcript
	resent int
}

func (r *historyRun) log(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *historyRun) rev() (driver.Rev, error) {
	s, err := r.store.Status(r.ctx)
	return s.Rev, err
}

func (r *historyRun) turn(s turn) {
	switch s.kind {
	case turnUpdate, turnAbort:
		r.update(s)
	case turnView:
		var answers Transcript
		err := r.store.View(r.ctx, func(tx *repo.ReadTx) error {
			answers = answer(tx, s.ops)
			return nil
		})
		r.lines = append(r.lines, answers...)
		r.log("   ended%s", failure(err))
	case turnResend:
		r.resend()
	case turnChanges:
		r.changes()
	case turnDigest:
		d, err := r.store.Digest(r.ctx)
		r.log("   %s%s", d.Sum, failure(err))
	case turnReopen:
		if r.reopen != nil {
			if err := r.store.Close(); err != nil {
				r.log("   close%s", failure(err))
			}
			r.store = r.reopen()
		}
	}
}

// update runs a transaction. What is logged is its last run: how often a backend
// runs a closure is its own affair.
func (r *historyRun) update(s turn) {
	var answers, others Transcript
	first := true
	err := r.store.Update(r.ctx, func(tx *repo.Tx) error {
		answers = answer(tx, s.ops)
		if first && len(s.other) > 0 {
			first = false
			err := r.store.Update(r.ctx, func(tx *repo.Tx) error {
				others = answer(tx, s.other)
				return nil
			})
			others = append(others, "   another committed"+failure(err))
		}
		if s.kind == turnAbort {
			return errOwn
		}
		return nil
	})
	r.lines = append(r.lines, others...)
	r.lines = append(r.lines, answers...)
	r.log("   ended%s", failure(err))
}

func answer(tx repo.Reader, ops []op) Transcript {
	var lines Transcript
	for _, o := range ops {
		lines = append(lines, fmt.Sprintf("   %s: %s", o.text, o.run(tx)))
	}
	return lines
}

// resend sends one commit twice, with another one between.
func (r *historyRun) resend() {
	r.resent++
	row := Blob{Key: "resent", Name: fmt.Sprint(r.resent)}
	c := &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Put, table("blob"), &row)}}
	first, err := r.store.Driver().Commit(r.ctx, c)
	r.log("   first +%d%s", first-r.base, failure(err))
	between := &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Delete, table("blob"), &row)}}
	second, err := r.store.Driver().Commit(r.ctx, between)
	r.log("   between +%d%s", second-r.base, failure(err))
	again, err := r.store.Driver().Commit(r.ctx, c)
	r.log("   again +%d%s", again-r.base, failure(err))
}

// changes logs the changes since the last time.
func (r *historyRun) changes() {
	now, err := r.rev()
	if err != nil || now == r.told {
		r.log("   none%s", failure(err))
		return
	}
	for c, err := range r.store.Driver().Changes(r.ctx, r.told) {
		if err != nil {
			r.log("   %s", failure(err))
			return
		}
		r.log("   +%d: %s", c.Rev-r.base, strings.Join(sortedKeys(c), " "))
		if r.told = c.Rev; c.Rev >= now {
			return
		}
	}
}

// end logs everything that is there: each order of each table, with revisions.
func (r *historyRun) end() {
	r.log("at the end")
	r.changes()
	err := onSnapshot(r.ctx, r.store.Driver(), func(s driver.Snapshot) error {
		var lines Transcript
		for _, def := range Schema.Driver().Tables {
			for order := range len(def.Indices) + 1 {
				found, err := gather(s.Scan(r.ctx, driver.Span{Table: def, Order: order}))
				if err != nil {
					return err
				}
				for _, v := range found {
					lines = append(lines, fmt.Sprintf("   %s, order %d: %s at +%d", def.Name, order, formatRow(def, v.Canonical(nil, def)), v.Rev-r.base))
				}
			}
		}
		r.lines = append(r.lines, lines...)
		return nil
	})
	d, digestErr := r.store.Digest(r.ctx)
	r.log("   digest %s%s", d.Sum, failure(errors.Join(err, digestErr)))
}

// formatRow returns a row in canonical form as text.
func formatRow(def *driver.Table, data []byte) string {
	values, err := driver.RowValues(nil, def.Columns, data)
	if err != nil {
		return err.Error()
	}
	parts := make([]string, len(values))
	for i, v := range values {
		switch x := v.(type) {
		case nil:
			parts[i] = "NULL"
		case string:
			parts[i] = fmt.Sprintf("%+q", x)
		case []byte:
			parts[i] = fmt.Sprintf("x'%x'", x)
		default:
			parts[i] = fmt.Sprint(x)
		}
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// failure returns what an error is, for a transcript: empty for nil, the
// sentinel for what the contract defines. Which of two collisions a backend
// meets first, and how it puts it, is its own affair.
func failure(err error) string {
	if err == nil {
		return ""
	}
	for _, kind := range []error{errOwn, driver.ErrNotFound, driver.ErrExists, driver.ErrConflict, driver.ErrInvalid, driver.ErrTooLarge, driver.ErrReadOnly, driver.ErrMoved,
		driver.ErrUncertain, driver.ErrUnavailable, driver.ErrCompacted, driver.ErrCorrupt, driver.ErrClosed} {
		if errors.Is(err, kind) {
			return ": " + kind.Error()
		}
	}
	return ": unexpected error: " + err.Error()
}
