package sqlstmt

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"trihold/repo/driver"
)

// Texts over _trihold_changes.
const (
	changeInsertBound  = `INSERT INTO "_trihold_changes" ("rev", "id", "touched") VALUES (?, ?, ?)`
	changeInsertLatest = `INSERT INTO "_trihold_changes" ("id", "touched") VALUES (?, ?)`
	// ChangesAfter: revision, most rows. Each row is revision, ID, touched.
	ChangesAfter = `SELECT "rev", "id", "touched" FROM "_trihold_changes" WHERE "rev" > ? ORDER BY "rev" LIMIT ?`
	// ChangeByID: the revision of the commit with an ID, negative if it touched
	// nothing.
	ChangeByID = `SELECT iif("touched" = '[]', -"rev", "rev") FROM "_trihold_changes" WHERE "id" = ?`
	// ChangesRange: the lowest and the highest revision, 0 if there is none.
	ChangesRange = `SELECT coalesce((SELECT min("rev") FROM "_trihold_changes"), 0), coalesce((SELECT max("rev") FROM "_trihold_changes"), 0)`
	// ChangesOldest: the highest revision among so many of the oldest commits.
	ChangesOldest = `SELECT coalesce(max("rev"), 0) FROM (SELECT "rev" FROM "_trihold_changes" ORDER BY "rev" LIMIT ?)`
	// ChangesPrune forgets the commits up to a revision.
	ChangesPrune = `DELETE FROM "_trihold_changes" WHERE "rev" <= ?`
)

// ChangeInsert returns the text that records n commits with revisions that the
// caller knows. The arguments of each are revision, ID, touched.
func ChangeInsert(n int) string { return changeInsertBound + strings.Repeat(", (?, ?, ?)", n-1) }

// Change returns the statement that records a commit. If the layout is Latest it
// assigns the revision, which is the statement's last insert ID.
func (l *Layout) Change(c *driver.Commit, rev driver.Rev) (Stmt, error) {
	touched, err := AppendTouched(nil, c.Writes)
	if err != nil {
		return Stmt{}, err
	}
	id := append([]byte(nil), c.ID[:]...)
	if l.rev == Latest {
		return Stmt{SQL: changeInsertLatest, Args: []driver.Value{id, string(touched)}}, nil
	}
	return Stmt{SQL: changeInsertBound, Args: []driver.Value{int64(rev), id, string(touched)}}, nil
}

// AppendTouched appends what a commit touched as JSON: an array that holds, for
// each write, "put" or "delete", the name of the table, and the columns of the
// key. Bool and Time are numbers as in the table, Bytes are hex.
//
//	[["put","runs","r1"],["delete","steps","r1",3]]
func AppendTouched(dst []byte, writes []driver.Write) ([]byte, error) {
	dst = append(dst, '[')
	for i := range writes {
		w := &writes[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendTouch(dst, w.Table, w.Key, w.Kind == driver.Delete); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// AppendTouchedKeys is AppendTouched for the keys of a change.
func AppendTouchedKeys(dst []byte, keys []driver.ChangedKey) ([]byte, error) {
	dst = append(dst, '[')
	for i := range keys {
		k := &keys[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendTouch(dst, k.Table, k.Key, k.Deleted); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendTouch(dst []byte, t *driver.Table, key driver.Key, deleted bool) ([]byte, error) {
	if deleted {
		dst = append(dst, `["delete","`...)
	} else {
		dst = append(dst, `["put","`...)
	}
	dst = append(dst, t.Name...)
	dst = append(dst, `",`...)
	dst, err := appendKeyJSON(dst, t, key)
	return append(dst, ']'), err
}

// ReadChange makes a change of a row of _trihold_changes.
func (l *Layout) ReadChange(rev int64, id []byte, touched string) (driver.Change, error) {
	c := driver.Change{Rev: driver.Rev(rev)}
	fail := func(err error) (driver.Change, error) {
		return driver.Change{}, fmt.Errorf("change %d: %w: %w", rev, driver.ErrCorrupt, err)
	}
	if len(id) != len(c.ID) {
		return fail(fmt.Errorf("an ID of %d bytes", len(id)))
	}
	copy(c.ID[:], id)
	var entries [][]json.RawMessage
	if err := json.Unmarshal([]byte(touched), &entries); err != nil {
		return fail(err)
	}
	c.Keys = make([]driver.ChangedKey, len(entries))
	for i, e := range entries {
		var err error
		if c.Keys[i], err = l.changedKey(e); err != nil {
			return fail(err)
		}
	}
	return c, nil
}

func (l *Layout) changedKey(entry []json.RawMessage) (driver.ChangedKey, error) {
	var k driver.ChangedKey
	var kind, name string
	if len(entry) < 2 || json.Unmarshal(entry[0], &kind) != nil || json.Unmarshal(entry[1], &name) != nil {
		return k, fmt.Errorf("an entry does not begin with a kind and a table")
	}
	for _, t := range l.tables {
		if t.def.Name == name {
			k.Table = t.def
		}
	}
	k.Deleted = kind == "delete"
	switch {
	case k.Table == nil:
		return k, fmt.Errorf("an entry of table %q, which the schema does not have", name)
	case !k.Deleted && kind != "put":
		return k, fmt.Errorf("an entry of kind %q", kind)
	}
	columns, values := k.Table.OrderColumns(0), entry[2:]
	if len(values) != len(columns) {
		return k, fmt.Errorf("a key of %d columns for table %s", len(values), name)
	}
	var key []byte
	for i, c := range columns {
		v, err := keyValue(c, values[i])
		if err != nil {
			return k, fmt.Errorf("table %s, column %s: %w", name, c.Name, err)
		}
		if key, err = driver.AppendKeyValue(key, c, v); err != nil {
			return k, err
		}
	}
	k.Key = driver.Key(key)
	return k, nil
}

// keyValue reads one column of a key.
func keyValue(c driver.Column, raw json.RawMessage) (driver.Value, error) {
	if sqlType(c.Kind) == "INTEGER" {
		return strconv.ParseInt(string(raw), 10, 64)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	if c.Kind == driver.Bytes {
		return hex.AppendDecode([]byte{}, []byte(s))
	}
	return s, nil
}

// appendKeyJSON appends the columns of a primary key as JSON values, separated
// by commas.
func appendKeyJSON(dst []byte, t *driver.Table, key driver.Key) ([]byte, error) {
	values, err := appendKey(make([]driver.Value, 0, 4), t, key)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch x := v.(type) {
		case int64:
			dst = strconv.AppendInt(dst, x, 10)
		case string:
			dst = appendJSONText(dst, x)
		case []byte:
			dst = append(dst, '"')
			dst = hex.AppendEncode(dst, x)
			dst = append(dst, '"')
		default:
			return nil, fmt.Errorf("key of table %s: a %T in a primary key: %w", t.Name, v, driver.ErrInvalid)
		}
	}
	return dst, nil
}

// appendJSONText appends a JSON string. It escapes only what JSON requires, so
// that people and SQLite read the text as it is.
func appendJSONText(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		b := s[i]
		if b >= ' ' && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if b >= ' ' {
			dst = append(dst, '\\', b)
		} else {
			dst = append(dst, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
