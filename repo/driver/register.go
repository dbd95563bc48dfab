package driver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// An Opener opens a store by its URL. It must account for every parameter of
// the URL and end with Params.Err.
type Opener func(ctx context.Context, u *URL) (Store, error)

// registry is the only global state of the project; it is written by the init
// functions of the backends.
var registry struct {
	sync.Mutex
	openers map[string]Opener
}

// Register makes a backend available under a URL scheme. It is called from the
// backend's init and panics if the scheme is taken.
func Register(scheme string, open Opener) {
	registry.Lock()
	defer registry.Unlock()
	if _, taken := registry.openers[scheme]; taken {
		panic("driver: backend registered twice: " + scheme)
	}
	if registry.openers == nil {
		registry.openers = map[string]Opener{}
	}
	registry.openers[scheme] = open
}

// Schemes returns the registered schemes, sorted.
func Schemes() []string {
	registry.Lock()
	defer registry.Unlock()
	return slices.Sorted(maps.Keys(registry.openers))
}

// Open opens the store that a URL names. The caller calls Prepare next.
func Open(ctx context.Context, rawURL string) (Store, error) {
	u, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	registry.Lock()
	open, ok := registry.openers[u.Scheme]
	registry.Unlock()
	if !ok {
		return nil, Failed("open "+u.String(), ErrInvalid, fmt.Errorf(
			"no backend %q in this program; it has: %s (a program imports the backends it wants)",
			u.Scheme, strings.Join(Schemes(), ", ")))
	}
	s, err := open(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u, err)
	}
	return s, nil
}
