package simulate

import "trihold/repo"

// An account holds money. All together always hold the same.
type account struct {
	ID      int64 `db:"id"`
	Balance int64 `db:"balance"`
}

// A transfer is added with each change of two accounts.
type transfer struct {
	ID     int64 `db:"id"`
	From   int64 `db:"from_id"`
	To     int64 `db:"to_id"`
	Amount int64 `db:"amount"`
}

// An item has an index of each kind.
type item struct {
	ID    int64      `db:"id"`
	Code  *int64     `db:"code"` // unique
	Group int64      `db:"group_id"`
	Data  repo.Bytes `db:"data"`
}

var (
	accounts     = repo.NewTable("account", func(a *account) *int64 { return &a.ID })
	transfers    = repo.NewTable("transfer", func(t *transfer) *int64 { return &t.ID })
	items        = repo.NewTable("item", func(i *item) *int64 { return &i.ID })
	itemsByCode  = repo.NewUnique1(items, func(i *item) **int64 { return &i.Code })
	itemsByGroup = repo.NewIndex1(items, func(i *item) *int64 { return &i.Group })
	schema       = repo.NewSchema(accounts, transfers, items, itemsByCode, itemsByGroup)
)
