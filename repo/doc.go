// Package repo keeps the data of a program behind one interface, whatever
// backend it lives in.
//
// # The nouns
//
// A [Table] holds rows of one Go struct type by their primary key. An index
// ([Index1] to [Index3]) is another order over the same rows, and a unique index
// ([Unique1] to [Unique3]) refuses two rows with equal values. A [Schema] is the
// tables and indices of a program. A [Store] is an opened backend. Inside
// [Store.View] and [Store.Update], a [ReadTx] or [Tx] is the state that tables
// read and write. A [Span] is one contiguous walk of one order. A [Change] is
// what one commit touched.
//
// # Basics
//
// Declare tables once, as package variables; a field is named by a function
// that returns a pointer to it, so the compiler checks the declaration:
//
//	var (
//		runs     = repo.NewTable("runs", func(r *Run) *string { return &r.ID })
//		byNumber = repo.NewUnique2(runs, func(r *Run) (*string, *int64) { return &r.Channel, &r.Number })
//		schema   = repo.NewSchema(runs, byNumber)
//	)
//
// Open a store by URL, and use it through closures:
//
//	store, err := repo.Open(ctx, "sqlite:app.db", schema)
//	err = store.Update(ctx, func(tx *repo.Tx) error {
//		return runs.Insert(tx, Run{ID: "r1", Channel: "main", Number: 1})
//	})
//
// A program chooses the backends it can open by importing them:
//
//	import _ "trihold/sqlitebackend"
//
// # The contract
//
// Update is strictly serialisable. View is a consistent snapshot that includes
// every commit acknowledged before it began. ViewStale is a snapshot of bounded
// age, never older than one this Store has shown before. Reads inside Update
// see its own writes. What a read returns is the caller's own copy, and what a
// write took has been copied.
//
// # Caveats
//
// A closure may run more than once, and must have no effect but its writes. A
// transaction and the spans made from it end with its closure. Writes are
// buffered: Insert of a key that turns out to be taken, or a unique value that
// collides, is reported by Update itself, as ErrExists.
//
// # Columns
//
// The fields of a row are its columns, named by the db tag or else by the
// field's name in lower case, as in sqlx. Embedded structs are flattened. Every
// field must be exported or tagged db:"-".
//
//	string                text, valid UTF-8
//	int, int8 ... int64   integer
//	bool                  integer 0 or 1
//	float64               real; NaN and infinities are refused, -0 becomes 0
//	time.Time             integer, microseconds since 1970, UTC
//	[]byte                blob; empty is nil
//	Bytes                 blob that can be a key
//	pointers to these     the same, or NULL
//	anything else         text, JSON by encoding/json
//
// Keys and index columns are strings, integers, bools, times, Bytes, and
// pointers to these in indices. They sort by bytes, by number, false first,
// NULL before everything.
package repo
