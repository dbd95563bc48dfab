package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	_ "trihold/inmem"
	"trihold/repo"
	_ "trihold/rqlitebackend"
	_ "trihold/sqlitebackend"
)

type Run struct {
	ID      string    `db:"id"`
	Channel string    `db:"channel"`
	Number  int64     `db:"number"`
	Author  string    `db:"author"`
	Tags    []string  `db:"tags"`
	Created time.Time `db:"created"`
}

var (
	runs      = repo.NewTable("runs", func(r *Run) *string { return &r.ID })
	byNumber  = repo.NewUnique2(runs, func(r *Run) (*string, *int64) { return &r.Channel, &r.Number })
	byCreated = repo.NewIndex2(runs, func(r *Run) (*string, *time.Time) { return &r.Channel, &r.Created })
	schema    = repo.NewSchema(runs, byNumber, byCreated)
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	store, err := repo.Open(ctx, os.Getenv("TRIHOLD_STORE"), schema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	err = store.Update(ctx, func(tx *repo.Tx) error {
		last, err := byNumber.Eq("main").Reverse().First(tx)
		if err != nil && !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		n := last.Number + 1
		return runs.Insert(tx, Run{
			ID: fmt.Sprintf("main-%d", n), Channel: "main", Number: n,
			Author: "ada", Tags: []string{"nightly"}, Created: time.Now(),
		})
	})
	if err != nil {
		return err
	}

	return store.View(ctx, func(tx *repo.ReadTx) error {
		page, next, err := byCreated.Eq("main").Reverse().Page(tx, "", 3)
		for _, r := range page {
			fmt.Println(r.Number, r.ID, r.Author, r.Tags)
		}
		if next != "" {
			fmt.Println("and more")
		}
		return err
	})
}
