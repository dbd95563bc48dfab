package fault

import (
	"context"
	"errors"
)

type link struct {
	proxy interface{ Addr() string }
}

func newLink(ctx context.Context, c *Cell) (*link, error) { return nil, errors.New("not built") }
func (l *link) close() error                              { return nil }

func callFaults() []Fault    { return nil }
func linkFaults() []Fault    { return nil }
func diskFaults() []Fault    { return nil }
func damageFaults() []Fault  { return nil }
func replicaFaults() []Fault { return nil }
