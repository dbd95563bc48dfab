package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// StateTable is the name of the table that every store has beside those of its
// schema: a few rows, each a name and a JSON value, that say what is going on with
// the store as a whole. It is read and written like any other table, through
// Schema.State, and its writes are part of commits like any others. Programs do
// not see it: digests leave it out.
const StateTable = "_trihold_state"

// FenceRow is the name of the state's row that holds a Fence.
const FenceRow = "fence"

// A Fence ends the history of a store. While there is one, the store refuses with
// ErrMoved every commit that is not a Load: the fence is a row of the state, and
// the last revision is the row's own. So an ordinary commit that writes the fence
// is the last one, and a load moves the fence along by writing it again with a
// later revision, or takes it away by deleting it.
type Fence struct {
	// Closed says that the history may go on elsewhere already: reading is refused
	// with ErrMoved, too, unless Mode.Closed allows it.
	Closed bool `json:"closed,omitempty"`
	// To is where the data is or will be: the name or URL of a store, without
	// secrets. Empty is unknown: the store is being filled.
	To string `json:"to,omitempty"`
	// By is who put the fence up.
	By string `json:"by"`
}

// ImportFence is who has put up the fence of a store that is made from an archive.
const ImportFence = "import"

// Moved returns the ErrMoved that an operation meets at the fence.
func (f Fence) Moved(op string) error {
	if f.By == ImportFence {
		return Failed(op, ErrMoved, errors.New("the store is being made from an archive; run the import again if it has ended before that was done"))
	}
	if f.To == "" {
		return Failed(op, ErrMoved, fmt.Errorf("the store is a copy that migration %s keeps; open the store that it is copied from", f.By))
	}
	return Failed(op, ErrMoved, fmt.Errorf("the data moves to %s; open that store (migration %s)", f.To, f.By))
}

func newStateTable(id int) *Table {
	t := &Table{ID: id, Name: StateTable, Key: []int{0}, Columns: []Column{{Name: "name", Kind: Text}, {Name: "value", Kind: JSON}}}
	t.compileRecords()
	t.orders = [][]Column{pick(t.Columns, t.Key)}
	return t
}

// StateKey returns the key of a row of the state.
func StateKey(name string) Key { return Key(AppendKeyText(nil, name)) }

// PutState returns the write of a row of the state. rev is as in Write.
func (s *Schema) PutState(name string, value any, rev Rev) (Write, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return Write{}, fmt.Errorf("write state %s: %w", name, err)
	}
	data, err := AppendValues(nil, s.State.Columns, []Value{name, string(text)})
	return Write{Kind: Put, Table: s.State, Key: StateKey(name), Data: data, Rev: rev}, err
}

// DeleteState returns the write that deletes a row of the state.
func (s *Schema) DeleteState(name string) Write {
	return Write{Kind: Delete, Table: s.State, Key: StateKey(name)}
}

// ReadState reads a row of the state into value, and returns its revision: zero,
// and value as it was, if there is none.
func (s *Schema) ReadState(ctx context.Context, snap Snapshot, name string, value any) (Rev, error) {
	row, err := snap.Get(ctx, s.State, StateKey(name))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err == nil {
		err = s.DecodeState(row.Canonical(nil, s.State), value)
	}
	if err != nil {
		return 0, fmt.Errorf("read state %s: %w", name, err)
	}
	return row.Rev, nil
}

// DecodeState reads the value in a row of the state in canonical form.
func (s *Schema) DecodeState(data []byte, value any) error {
	values, err := RowValues(nil, s.State.Columns, data)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(values[1].(string)), value); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// FenceOf returns what the writes of a commit do to the fence: whether they
// write it, and the new one; nil if they delete it.
func (s *Schema) FenceOf(writes []Write) (f *Fence, written bool, err error) {
	for i := range writes {
		w := &writes[i]
		if w.Table != s.State || w.Key != fenceKey {
			continue
		}
		if w.Kind == Delete {
			return nil, true, nil
		}
		f = &Fence{}
		return f, true, s.DecodeState(w.Data, f)
	}
	return nil, false, nil
}

var fenceKey = StateKey(FenceRow)
