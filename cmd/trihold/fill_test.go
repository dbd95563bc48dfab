package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"

	"trihold/repo"
)

// A person is a row of the stores that scripts make with "fill URL ROWS".
type person struct {
	ID   string `db:"id"`
	Name string `db:"name"`
}

type pet struct {
	ID    int64    `db:"id"`
	Owner string   `db:"owner"`
	Tags  []string `db:"tags"`
}

var (
	persons    = repo.NewTable("persons", func(p *person) *string { return &p.ID })
	pets       = repo.NewTable("pets", func(p *pet) *int64 { return &p.ID })
	fillSchema = repo.NewSchema(persons, repo.NewIndex1(persons, func(p *person) *string { return &p.Name }), pets)
)

// fill adds so many rows to each table of a store.
func fill(ctx context.Context, url, rows string) (err error) {
	n, err := strconv.Atoi(rows)
	if err != nil {
		return err
	}
	s, err := repo.Open(ctx, url, fillSchema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for i := range n {
		err := s.Update(ctx, func(tx *repo.Tx) error {
			return errors.Join(persons.Put(tx, person{fmt.Sprint(i), "name"}), pets.Put(tx, pet{int64(i), fmt.Sprint(i), []string{"tag"}}))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fillMain is the program fill.
func fillMain() {
	if err := fill(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// sqlMain is the program sql: it changes a database of SQLite behind the back of its
// store.
func sqlMain() {
	db, err := sql.Open("sqlite", os.Args[1])
	if err == nil {
		_, err = db.Exec(os.Args[2])
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
