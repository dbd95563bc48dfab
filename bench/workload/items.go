package workload

import (
	"fmt"
	"time"

	"trihold/repo"
)

// items is a small row with three indices, as an ordinary program has: for
// measuring memory, restart and indices rather than the cost of large text.
var items = Workload{Name: "items", Mix: []Share{{Read, 60}, {List, 20}, {Update, 15}, {Insert, 5}}, open: openItems}

// An Item is a row of about 120 bytes.
type Item struct {
	ID      string    `db:"id"`
	Owner   int64     `db:"owner"`
	Title   string    `db:"title"`
	Body    string    `db:"body"`
	Done    bool      `db:"done"`
	Created time.Time `db:"created"`
}

const bodyLen = 80

// itemsPerOwner is how many items share an owner.
const itemsPerOwner = 50

type itemRows struct{ seed uint64 }

func openItems(w Workload, p Params) (Session, error) {
	table := repo.NewTable("items", func(i *Item) *string { return &i.ID })
	byOwner := repo.NewIndex2(table, func(i *Item) (*int64, *time.Time) { return &i.Owner, &i.Created })
	byTitle := repo.NewUnique1(table, func(i *Item) *string { return &i.Title })
	byCreated := repo.NewIndex1(table, func(i *Item) *time.Time { return &i.Created })
	list := func(n int64) repo.Span[Item] { return byOwner.Eq(ownerOf(n)).Reverse() }
	schema := repo.NewSchema(table, byOwner, byTitle, byCreated)
	return newKeyed[Item](w, p, table, list, itemRows{p.Seed}, schema), nil
}

func ownerOf(n int64) int64 { return int64(scatter(n/itemsPerOwner) >> 1) }

func (itemRows) key(n int64) string      { return fmt.Sprintf("item%012d", n) }
func (itemRows) keyOf(i *Item) string    { return i.ID }
func (itemRows) epoch(n int64) time.Time { return time.UnixMicro(1_700_000_000_000_000 + n*1000).UTC() }

func (r itemRows) make(n int64, s Stamp) (Item, error) {
	body := appendText(appendStamp(make([]byte, 0, bodyLen), n, s), bodyLen, r.seed, n, s)
	return Item{
		ID: r.key(n), Owner: ownerOf(n), Title: fmt.Sprintf("title %x", scatter(n)), Body: string(body),
		Done: s.Write%2 == 1, Created: r.epoch(n),
	}, nil
}

func (itemRows) stamp(i *Item) (int64, Stamp, error) { return cutStamp(i.Body) }
