package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"trihold/bench/input"
	"trihold/repo"
)

// Records is the workload on a user's own records: reads, lists by group,
// updates and inserts.
var Records = Workload{Name: "records", Mix: []Share{{Read, 60}, {List, 20}, {Update, 15}, {Insert, 5}}, open: openRecords}

// A Record is a row made of a user's record.
type Record struct {
	Key   string          `db:"key"`
	Group string          `db:"group"`
	Doc   json.RawMessage `db:"doc"`
}

// userRecords are the records of a file, which is read again whenever one is
// needed, so that they do not count as memory of the store. Keys beyond those of
// the file are for inserts: they are copies under a new key.
//
// An update adds a last field to the record, which holds its stamp.
type userRecords struct {
	records []input.Record
	number  map[string]int64
	file    *os.File
}

func openRecords(w Workload, p Params) (Session, error) {
	if p.File == nil {
		return nil, errors.New("the workload records needs an input file")
	}
	f, err := os.Open(p.File.Path)
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}
	r := &userRecords{records: p.File.Records, file: f}
	if p.Rows <= 0 || p.Rows > int64(len(r.records)) {
		p.Rows = int64(len(r.records))
	}
	r.records = r.records[:p.Rows]
	r.number = make(map[string]int64, len(r.records))
	for n, rec := range r.records {
		r.number[rec.Key] = int64(n)
	}
	table := repo.NewTable("records", func(r *Record) *string { return &r.Key })
	byGroup := repo.NewIndex1(table, func(r *Record) *string { return &r.Group })
	list := func(n int64) repo.Span[Record] { return byGroup.Eq(r.original(n).Group) }
	k := newKeyed[Record](w, p, table, list, r, repo.NewSchema(table, byGroup))
	k.close = f.Close
	return k, nil
}

// original returns the record of the file that key n comes from.
func (r *userRecords) original(n int64) *input.Record { return &r.records[n%int64(len(r.records))] }

func (r *userRecords) key(n int64) string {
	if n < int64(len(r.records)) {
		return r.records[n].Key
	}
	return r.original(n).Key + input.CopyMark + strconv.FormatInt(n, 10)
}

func (*userRecords) keyOf(row *Record) string { return row.Key }

func (r *userRecords) make(n int64, s Stamp) (Record, error) {
	rec := r.original(n)
	line := make([]byte, rec.Len)
	if _, err := r.file.ReadAt(line, rec.Offset); err != nil {
		return Record{}, fmt.Errorf("read input again: %w", err)
	}
	var doc bytes.Buffer
	doc.Grow(len(line) + 64)
	if err := json.Compact(&doc, line); err != nil {
		return Record{}, fmt.Errorf("the input has changed: %w", err)
	}
	if s != (Stamp{}) {
		doc.Truncate(doc.Len() - 1)
		fmt.Fprintf(&doc, `,%q:"%s"}`, input.StampField, appendStamp(nil, n, s))
	}
	return Record{Key: r.key(n), Group: rec.Group, Doc: doc.Bytes()}, nil
}

func (r *userRecords) stamp(row *Record) (int64, Stamp, error) {
	const tail = len(`,"":""}`) + len(input.StampField) + stampLen
	at := len(row.Doc) - tail
	if at > 0 && bytes.HasPrefix(row.Doc[at:], []byte(`,"`+input.StampField+`":"`)) {
		return cutStamp(string(row.Doc[len(row.Doc)-stampLen-len(`"}`):]))
	}
	n, ok := r.number[row.Key]
	if !ok {
		return 0, Stamp{}, errors.New("its key is not in the input")
	}
	return n, Stamp{}, nil
}
