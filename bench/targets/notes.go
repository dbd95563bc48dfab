package targets

import (
	"context"
	"fmt"

	"trihold/repo"
)

// A note is a small row without indices, for measuring what a transaction costs.
type note struct {
	ID    string `db:"id"`
	Owner int64  `db:"owner"`
	Title string `db:"title"`
	Body  string `db:"body"`
}

var (
	notes      = repo.NewTable("notes", func(n *note) *string { return &n.ID })
	noteSchema = repo.NewSchema(notes)
)

const noteBody = "The quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs; how vexingly quick daft zebras jump."

func newNote(i int) note {
	return note{ID: noteID(i), Owner: int64(i), Title: "a title", Body: noteBody}
}

func noteID(i int) string { return fmt.Sprintf("note%09d", i) }

// someNotes is how many notes a store has while a single transaction is measured.
const someNotes = 10_000

// wideMore is by how much the body of a wide note is longer.
const wideMore = 107

// clientNotes are the keys that one client of many writes, so that clients do not
// meet.
const clientNotes = 32

// referenceBytes is the size of the values that the references write whose size can
// be chosen.
const referenceBytes = 256

// newWideNote returns a note that is so long when it is encoded.
func newWideNote(i int) note {
	n := newNote(i)
	n.Body = noteBody + noteBody[:wideMore]
	return n
}

// loadNotes inserts notes.
func loadNotes(ctx context.Context, s *repo.Store, n int) error {
	return insertNotes(ctx, s, n, newNote)
}

func insertNotes(ctx context.Context, s *repo.Store, n int, row func(i int) note) error {
	const batch = 1000
	for from := 0; from < n; from += batch {
		err := s.Update(ctx, func(tx *repo.Tx) error {
			for i := from; i < min(from+batch, n); i++ {
				if err := notes.Insert(tx, row(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("load notes: %w", err)
		}
	}
	return nil
}

// touch reads a note and writes it: one check, one write.
func touch(ctx context.Context, s *repo.Store, id string) error {
	return s.Update(ctx, func(tx *repo.Tx) error {
		n, err := notes.Get(tx, id)
		if err != nil {
			return err
		}
		n.Owner++
		return notes.Put(tx, n)
	})
}

// view reads a note.
func view(ctx context.Context, s *repo.Store, id string) error {
	return s.View(ctx, func(tx *repo.ReadTx) error {
		_, err := notes.Get(tx, id)
		return err
	})
}

// touches returns an operation of many clients, each on notes of its own.
func touches(ctx context.Context, s *repo.Store) func(client, i int) error {
	return func(client, i int) error { return touch(ctx, s, noteID(client*clientNotes+i%clientNotes)) }
}
