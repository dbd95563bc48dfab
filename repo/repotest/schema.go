package repotest

import (
	"encoding/json"
	"time"

	"trihold/repo"
)

// The tables of the suite. Between them they have every kind of column, every
// kind of key, and every kind of index. Some names are words that SQL reserves,
// so that a backend which forgets to quote them does not get far.

// An Item is the row of most cases.
type Item struct {
	ID    string  `db:"id"`
	Group string  `db:"group"`
	Order int64   `db:"order"`
	Code  *string `db:"code"`
	Text  string  `db:"text"`
}

var (
	items        = repo.NewTable("item", func(r *Item) *string { return &r.ID })
	itemsByGroup = repo.NewIndex2(items, func(r *Item) (*string, *int64) { return &r.Group, &r.Order })
	itemsByText  = repo.NewIndex1(items, func(r *Item) *string { return &r.Text })
	itemsByCode  = repo.NewUnique1(items, func(r *Item) *(*string) { return &r.Code })
)

// An EventKey is a primary key of two columns.
type EventKey struct {
	Stream string `db:"stream"`
	Number int64  `db:"number"`
}

// An Event has nullable columns in its indices.
type Event struct {
	EventKey
	Kind   *string   `db:"kind"`
	Weight *int64    `db:"weight"`
	At     time.Time `db:"at"`
	Done   bool      `db:"done"`
	Note   string    `db:"note"`
}

var (
	events       = repo.NewTable("event", func(r *Event) *EventKey { return &r.EventKey })
	eventsByAt   = repo.NewIndex1(events, func(r *Event) *time.Time { return &r.At })
	eventsByKind = repo.NewIndex3(events, func(r *Event) (*(*string), *(*int64), *string) { return &r.Kind, &r.Weight, &r.Note })
	eventsByDone = repo.NewIndex2(events, func(r *Event) (*bool, *(*string)) { return &r.Done, &r.Kind })
)

// A Seat has unique indices over several columns. Its table is called by a word
// that SQL reserves.
type Seat struct {
	ID     int64      `db:"rowid"`
	Hall   string     `db:"from"`
	Row    int64      `db:"row"`
	Number *int64     `db:"select"`
	Ticket repo.Bytes `db:"Ticket"`
	Guest  string     `db:"guest"`
}

var (
	seats         = repo.NewTable("order", func(r *Seat) *int64 { return &r.ID })
	seatsByPlace  = repo.NewUnique3(seats, func(r *Seat) (*string, *int64, *(*int64)) { return &r.Hall, &r.Row, &r.Number })
	seatsByTicket = repo.NewUnique2(seats, func(r *Seat) (*string, *repo.Bytes) { return &r.Hall, &r.Ticket })
)

// A Scalar has a column of every scalar type, and a pointer to each.
type Scalar struct {
	ID    string     `db:"id"`
	Bool  bool       `db:"bool"`
	Int   int        `db:"int"`
	Int8  int8       `db:"int8"`
	Int16 int16      `db:"int16"`
	Int32 int32      `db:"int32"`
	Int64 int64      `db:"int64"`
	Float float64    `db:"float"`
	Text  string     `db:"text"`
	Blob  []byte     `db:"blob"`
	Bytes repo.Bytes `db:"bytes"`
	Time  time.Time  `db:"time"`

	MaybeBool  *bool       `db:"maybe_bool"`
	MaybeInt   *int        `db:"maybe_int"`
	MaybeInt8  *int8       `db:"maybe_int8"`
	MaybeInt64 *int64      `db:"maybe_int64"`
	MaybeFloat *float64    `db:"maybe_float"`
	MaybeText  *string     `db:"maybe_text"`
	MaybeBlob  *[]byte     `db:"maybe_blob"`
	MaybeBytes *repo.Bytes `db:"maybe_bytes"`
	MaybeTime  *time.Time  `db:"maybe_time"`
}

var scalars = repo.NewTable("scalar", func(r *Scalar) *string { return &r.ID })

// A Ranked has one index for each kind of index column.
type Ranked struct {
	ID         int64       `db:"id"`
	Bool       bool        `db:"bool"`
	Int        int64       `db:"int"`
	Small      int8        `db:"small"`
	Text       string      `db:"text"`
	Bytes      repo.Bytes  `db:"bytes"`
	Time       time.Time   `db:"time"`
	MaybeBool  *bool       `db:"maybe_bool"`
	MaybeInt   *int64      `db:"maybe_int"`
	MaybeText  *string     `db:"maybe_text"`
	MaybeBytes *repo.Bytes `db:"maybe_bytes"`
	MaybeTime  *time.Time  `db:"maybe_time"`
}

var (
	ranked             = repo.NewTable("ranked", func(r *Ranked) *int64 { return &r.ID })
	rankedByBool       = repo.NewIndex1(ranked, func(r *Ranked) *bool { return &r.Bool })
	rankedByInt        = repo.NewIndex1(ranked, func(r *Ranked) *int64 { return &r.Int })
	rankedBySmall      = repo.NewIndex1(ranked, func(r *Ranked) *int8 { return &r.Small })
	rankedByText       = repo.NewIndex1(ranked, func(r *Ranked) *string { return &r.Text })
	rankedByBytes      = repo.NewIndex1(ranked, func(r *Ranked) *repo.Bytes { return &r.Bytes })
	rankedByTime       = repo.NewIndex1(ranked, func(r *Ranked) *time.Time { return &r.Time })
	rankedByMaybeBool  = repo.NewIndex1(ranked, func(r *Ranked) *(*bool) { return &r.MaybeBool })
	rankedByMaybeInt   = repo.NewIndex1(ranked, func(r *Ranked) *(*int64) { return &r.MaybeInt })
	rankedByMaybeText  = repo.NewIndex1(ranked, func(r *Ranked) *(*string) { return &r.MaybeText })
	rankedByMaybeBytes = repo.NewIndex1(ranked, func(r *Ranked) *(*repo.Bytes) { return &r.MaybeBytes })
	rankedByMaybeTime  = repo.NewIndex1(ranked, func(r *Ranked) *(*time.Time) { return &r.MaybeTime })
)

// A Label is a named string type.
type Label string

// A WideKey is a primary key of every kind of key column.
type WideKey struct {
	Flag  bool       `db:"flag"`
	When  time.Time  `db:"when"`
	Raw   repo.Bytes `db:"raw"`
	Label Label      `db:"label"`
	Small int8       `db:"small"`
}

// A Wide has a WideKey.
type Wide struct {
	WideKey
	Value string `db:"value"`
}

var wides = repo.NewTable("wide", func(r *Wide) *WideKey { return &r.WideKey })

// A Blob has a key of arbitrary bytes, and room for large rows.
type Blob struct {
	Key  repo.Bytes `db:"key"`
	Name string     `db:"name"`
	Data []byte     `db:"data"`
}

var (
	blobs       = repo.NewTable("blob", func(r *Blob) *repo.Bytes { return &r.Key })
	blobsByName = repo.NewIndex1(blobs, func(r *Blob) *string { return &r.Name })
)

// A Document has JSON columns.
type Document struct {
	ID     string           `db:"id"`
	Tags   []string         `db:"tags"`
	Counts map[string]int64 `db:"counts"`
	Body   Body             `db:"body"`
	Link   *Body            `db:"link"`
	Grid   [][]int64        `db:"grid"`
	Raw    json.RawMessage  `db:"raw"`
	Any    any              `db:"any"`
	Huge   uint64           `db:"huge"`
}

// A Body is a struct inside a JSON column.
type Body struct {
	Title  string
	Number int64
	Ratio  float64
	Parts  []Body
	Notes  map[string]*string
	Raw    json.RawMessage
	At     *time.Time
}

var documents = repo.NewTable("document", func(r *Document) *string { return &r.ID })

// Schema is the schema of the suite. A backend's own tests may use it, with
// [NewHistory] and [Verify], where the suite itself does not reach: around a
// kill, say.
var Schema = repo.NewSchema(
	items, itemsByGroup, itemsByText, itemsByCode,
	events, eventsByAt, eventsByKind, eventsByDone,
	seats, seatsByPlace, seatsByTicket,
	scalars,
	ranked, rankedByBool, rankedByInt, rankedBySmall, rankedByText, rankedByBytes, rankedByTime,
	rankedByMaybeBool, rankedByMaybeInt, rankedByMaybeText, rankedByMaybeBytes, rankedByMaybeTime,
	wides,
	blobs, blobsByName,
	documents,
)

// What cases list of a row.
func (i Item) id() string        { return i.ID }
func (i Item) order() int64      { return i.Order }
func (e Event) key() EventKey    { return e.EventKey }
func (s Seat) id() int64         { return s.ID }
func (r Ranked) id() int64       { return r.ID }
func (b Blob) bytes() repo.Bytes { return b.Key }
