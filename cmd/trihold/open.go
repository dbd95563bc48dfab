package main

import (
	"context"
	"errors"
	"fmt"

	"trihold/repo"
	"trihold/repo/driver"
)

// openEmpty opens the store that name stands for, a URL or a name of trihold.yaml. It
// is still to be prepared.
func openEmpty(ctx context.Context, name string) (driver.Store, error) {
	url, err := repo.Resolve(name)
	if err != nil {
		return nil, err
	}
	return driver.Open(ctx, url)
}

// openStored opens a store with the schema that it was made with.
func openStored(ctx context.Context, name string) (driver.Store, error) {
	s, err := openEmpty(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := s.Prepare(ctx, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", shown(name), err), s.Close())
	}
	return s, nil
}

// shown returns the name of a store without secrets.
func shown(name string) string {
	if u, err := driver.ParseURL(name); err == nil {
		return u.String()
	}
	return name
}
