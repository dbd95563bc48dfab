package traffic

import (
	"trihold/bench/fault/history"
	"trihold/repo"
)

type register struct {
	ID    int64 `db:"id"`
	Value int64 `db:"value"`
}

type account struct {
	ID      int64 `db:"id"`
	Balance int64 `db:"balance"`
}

type list struct {
	ID     int64   `db:"id"`
	Values []int64 `db:"items"`
}

type claim struct {
	ID   int64  `db:"id"` // of the operation
	Name string `db:"name"`
}

type item struct {
	ID    int64  `db:"id"`
	Group int64  `db:"grp"`
	Op    int64  `db:"op"` // the operation that put it there
	Pad   string `db:"pad"`
}

type entry struct {
	ID     int64 `db:"id"` // of the operation
	Client int64 `db:"client"`
}

var (
	registers = repo.NewTable(history.TableRegisters, func(r *register) *int64 { return &r.ID })
	accounts  = repo.NewTable(history.TableAccounts, func(r *account) *int64 { return &r.ID })
	lists     = repo.NewTable(history.TableLists, func(r *list) *int64 { return &r.ID })
	claims    = repo.NewTable(history.TableClaims, func(r *claim) *int64 { return &r.ID })
	items     = repo.NewTable(history.TableItems, func(r *item) *int64 { return &r.ID })
	ledger    = repo.NewTable(history.TableLedger, func(r *entry) *int64 { return &r.ID })

	claimsByName   = repo.NewUnique1(claims, func(r *claim) *string { return &r.Name })
	itemsByGroup   = repo.NewIndex1(items, func(r *item) *int64 { return &r.Group })
	ledgerByClient = repo.NewIndex1(ledger, func(r *entry) *int64 { return &r.Client })

	// Schema is what a store is opened with.
	Schema = repo.NewSchema(registers, accounts, lists, claims, items, ledger, claimsByName, itemsByGroup, ledgerByClient)
)
