package history

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// A Setup is what a store was filled with before the first operation. Registers,
// accounts, lists, items and groups are numbered from 0. Registers and lists start
// empty and have no row; item i starts in group i modulo Groups, put there by no
// operation.
type Setup struct {
	Registers int   `json:"registers"`
	Accounts  int   `json:"accounts"`
	Balance   int64 `json:"balance"` // of each account
	Lists     int   `json:"lists"`
	Items     int   `json:"items"`
	Groups    int   `json:"groups"`
	Names     int   `json:"names"` // of claims: "name0" and so on
	// Pad is how many bytes an item is long besides; 0 is a few hundred.
	Pad int `json:"pad,omitempty"`
}

// A History is the operations of one run in the order of their begin.
type History struct {
	Seed  uint64 `json:"seed"`
	Setup Setup  `json:"setup"`
	Ops   []Op   `json:"-"`
}

// A Final is the content of one node, read in one View: tables in the order of
// their keys, and once more through each index.
type Final struct {
	Node           string            `json:"node"`
	Rev            int64             `json:"rev"`
	Digest         string            `json:"digest"`
	Registers      map[int64]int64   `json:"registers"`
	Accounts       []int64           `json:"accounts"`
	Lists          map[int64][]int64 `json:"lists"`
	Claims         []ClaimRow        `json:"claims"`
	ClaimsByName   []ClaimRow        `json:"claims_by_name"`
	Items          []ItemRow         `json:"items"`
	ItemsByGroup   []ItemRow         `json:"items_by_group"`
	Ledger         []LedgerRow       `json:"ledger"`
	LedgerByClient []LedgerRow       `json:"ledger_by_client"`

	// The change stream from revision ChangesAfter on, read in several pieces that
	// were resumed, up to Rev at least.
	ChangesAfter int64    `json:"changes_after"`
	Changes      []Change `json:"changes"`
}

// A ClaimRow is a name and the operation that has it.
type ClaimRow struct {
	ID   int64  `json:"id"` // of the operation
	Name string `json:"name"`
}

// An ItemRow is an item, its group, and the operation that put it there, 0 for the
// setup.
type ItemRow struct {
	ID    int64 `json:"id"`
	Group int64 `json:"group"`
	Op    int64 `json:"op"`
}

// A LedgerRow is an operation that took effect.
type LedgerRow struct {
	ID     int64 `json:"id"`
	Client int   `json:"client"`
}

// Tables of the change stream.
const (
	TableRegisters = "registers"
	TableAccounts  = "accounts"
	TableLists     = "lists"
	TableClaims    = "claims"
	TableItems     = "items"
	TableLedger    = "ledger"
)

// A Change is one commit and the keys that it touched.
type Change struct {
	Rev  int64        `json:"rev"`
	Keys []ChangedKey `json:"keys"`
}

// A ChangedKey is one row that a commit touched.
type ChangedKey struct {
	Table   string `json:"table"`
	Key     int64  `json:"key"`
	Deleted bool   `json:"deleted,omitempty"`
}

// Write writes the history as gzipped NDJSON: the header, then each operation.
func (h *History) Write(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z := gzip.NewWriter(f)
	enc := json.NewEncoder(z)
	if err := enc.Encode(h); err != nil {
		return fmt.Errorf("write history %s: %w", path, err)
	}
	for i := range h.Ops {
		if err := enc.Encode(&h.Ops[i]); err != nil {
			return fmt.Errorf("write history %s: %w", path, err)
		}
	}
	return z.Close()
}

// ReadFile reads a history that Write has written.
func ReadFile(path string) (*History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("read history %s: %w", path, err)
	}
	h := &History{}
	dec := json.NewDecoder(z)
	if err := dec.Decode(h); err != nil {
		return nil, fmt.Errorf("read history %s: %w", path, err)
	}
	for {
		var o Op
		err := dec.Decode(&o)
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read history %s: operation %d: %w", path, len(h.Ops)+1, err)
		}
		h.Ops = append(h.Ops, o)
	}
}
