package traffic

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"trihold/bench/fault/history"
	"trihold/repo"
)

// Fill writes what a store holds before the first operation.
func Fill(ctx context.Context, s *repo.Store, setup history.Setup) error {
	return s.Update(ctx, func(tx *repo.Tx) error {
		for i := range setup.Accounts {
			if err := accounts.Insert(tx, account{int64(i), setup.Balance}); err != nil {
				return err
			}
		}
		for i := range setup.Items {
			if err := items.Insert(tx, item{ID: int64(i), Group: int64(i % setup.Groups), Pad: pad(setup)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReadFinal reads the whole store in one View, and the change stream. It is an error
// if a stale read shows something else afterwards.
func ReadFinal(ctx context.Context, s *repo.Store, node string) (*history.Final, error) {
	f := &history.Final{Node: node}
	if err := s.View(ctx, func(tx *repo.ReadTx) error { return readTables(tx, f) }); err != nil {
		return nil, fmt.Errorf("read the final state: %w", err)
	}
	d, err := s.Digest(ctx)
	if err != nil {
		return nil, fmt.Errorf("digest the final state: %w", err)
	}
	if int64(d.Rev) != f.Rev {
		return nil, fmt.Errorf("digest the final state: it is of revision %d, the rows are of %d: somebody still writes", d.Rev, f.Rev)
	}
	f.Digest = d.Sum
	return f, errors.Join(readChanges(ctx, s, f), checkStale(ctx, s, f))
}

// checkStale reads every table as stale reads see it, and compares that with what a
// View has seen before: a store never goes back.
func checkStale(ctx context.Context, s *repo.Store, f *history.Final) error {
	stale := &history.Final{Node: f.Node}
	if err := s.ViewStale(ctx, anyAge, func(tx *repo.ReadTx) error { return readTables(tx, stale) }); err != nil {
		return fmt.Errorf("read the final state as it is at hand: %w", err)
	}
	stale.Digest, stale.ChangesAfter, stale.Changes = f.Digest, f.ChangesAfter, f.Changes
	switch {
	case stale.Rev < f.Rev:
		return fmt.Errorf("a stale read shows revision %d after a linearisable one has shown %d", stale.Rev, f.Rev)
	case stale.Rev == f.Rev && !reflect.DeepEqual(stale, f):
		return fmt.Errorf("a stale read shows another revision %d than a linearisable one", f.Rev)
	}
	return nil
}

// readTables reads every table by key and by each index. It may run more than
// once.
func readTables(tx *repo.ReadTx, f *history.Final) error {
	*f = history.Final{Node: f.Node, Registers: map[int64]int64{}, Lists: map[int64][]int64{}}
	err := errors.Join(
		collect(tx, registers.All(), func(r register) { f.Registers[r.ID] = r.Value }),
		collect(tx, accounts.All(), func(a account) { f.Accounts = append(f.Accounts, a.Balance) }),
		collect(tx, lists.All(), func(l list) { f.Lists[l.ID] = l.Values }),
		collect(tx, claims.All(), func(c claim) { f.Claims = append(f.Claims, history.ClaimRow(c)) }),
		collect(tx, claimsByName.All(), func(c claim) { f.ClaimsByName = append(f.ClaimsByName, history.ClaimRow(c)) }),
		collect(tx, items.All(), func(i item) { f.Items = append(f.Items, itemRow(i)) }),
		collect(tx, itemsByGroup.All(), func(i item) { f.ItemsByGroup = append(f.ItemsByGroup, itemRow(i)) }),
		collect(tx, ledger.All(), func(e entry) { f.Ledger = append(f.Ledger, ledgerRow(e)) }),
		collect(tx, ledgerByClient.All(), func(e entry) { f.LedgerByClient = append(f.LedgerByClient, ledgerRow(e)) }),
	)
	f.Rev = int64(tx.Rev())
	return err
}

func itemRow(i item) history.ItemRow      { return history.ItemRow{ID: i.ID, Group: i.Group, Op: i.Op} }
func ledgerRow(e entry) history.LedgerRow { return history.LedgerRow{ID: e.ID, Client: int(e.Client)} }

func collect[T any](tx *repo.ReadTx, span repo.Span[T], row func(T)) error {
	for r, err := range span.Rows(tx) {
		if err != nil {
			return err
		}
		row(r)
	}
	return nil
}

// changesPiece is how many commits are read from the change stream before it is
// left and resumed.
const changesPiece = 1000

// readChanges reads the change stream up to the revision of f, in pieces.
func readChanges(ctx context.Context, s *repo.Store, f *history.Final) error {
	status, err := s.Status(ctx)
	if err != nil {
		return fmt.Errorf("read changes: %w", err)
	}
	f.ChangesAfter = int64(status.Oldest)
	for after := f.ChangesAfter; after < f.Rev; {
		n := 0
		for c, err := range s.Changes(ctx, repo.Rev(after)) {
			if err != nil {
				return fmt.Errorf("read changes after revision %d: %w", after, err)
			}
			f.Changes = append(f.Changes, change(c))
			after = int64(c.Rev)
			if n++; n == changesPiece || after >= f.Rev {
				break
			}
		}
	}
	return nil
}

func change(c repo.Change) history.Change {
	out := history.Change{Rev: int64(c.Rev)}
	out.Keys = appendKeys(out.Keys, registers, c)
	out.Keys = appendKeys(out.Keys, accounts, c)
	out.Keys = appendKeys(out.Keys, lists, c)
	out.Keys = appendKeys(out.Keys, claims, c)
	out.Keys = appendKeys(out.Keys, items, c)
	out.Keys = appendKeys(out.Keys, ledger, c)
	return out
}

func appendKeys[T any](keys []history.ChangedKey, t *repo.Table[T, int64], c repo.Change) []history.ChangedKey {
	for key, deleted := range t.Changed(c) {
		keys = append(keys, history.ChangedKey{Table: t.Name(), Key: key, Deleted: deleted})
	}
	return keys
}
