package sqlstmt

import (
	"errors"
	"strings"

	"trihold/repo/driver"
)

// ErrCommitted means that a commit with this ID is already there.
var ErrCommitted = errors.New("commit is already there")

// Refusal returns what the message of a failed statement says about the commit:
// an error of kind ErrConflict; ErrMoved, which the caller can replace by what
// the fence itself says; ErrInvalid, of a load; ErrCommitted; or an error of kind
// ErrExists with the table and, unless it was the primary key, the index. It
// returns nil if the message is about something else.
func (l *Layout) Refusal(message string) error {
	switch {
	case strings.Contains(message, conflict):
		return driver.Failed("commit", driver.ErrConflict, nil)
	case strings.Contains(message, moved):
		return driver.Failed("commit", driver.ErrMoved, nil)
	case strings.Contains(message, gap):
		return driver.Failed("load", driver.ErrInvalid, errors.New("its changes do not begin right after the latest revision of the store"))
	case strings.Contains(message, unfenced):
		return driver.Failed("load", driver.ErrInvalid, errors.New("the store has no fence, and the load does not write one"))
	}
	_, columns, found := strings.Cut(message, "UNIQUE constraint failed: ")
	if !found {
		return nil
	}
	// modernc adds the code in parentheses, which no name contains.
	columns, _, _ = strings.Cut(columns, " (")
	columns = strings.TrimSpace(columns)
	if columns == "_trihold_changes.id" {
		return ErrCommitted
	}
	for _, t := range l.tables {
		if columns == t.violation(t.def.Key) {
			return &driver.Error{Op: "commit", Table: t.def.Name, Kind: driver.ErrExists}
		}
		for _, x := range t.def.Indices {
			if x.Unique && columns == t.violation(unrepeated(x.Columns)) {
				return &driver.Error{Op: "commit", Table: t.def.Name, Index: t.def.IndexColumnNames(x), Kind: driver.ErrExists}
			}
		}
	}
	return nil
}

// violation returns how SQLite names a unique constraint over the given columns.
func (t *table) violation(at []int) string {
	names := make([]string, len(at))
	for i, c := range at {
		names[i] = t.def.Name + "." + t.def.Columns[c].Name
	}
	return strings.Join(names, ", ")
}
