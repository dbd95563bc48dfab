//go:build !linux

package fusefs

import (
	"fmt"
	"math/rand/v2"
	"runtime"
)

// An FS is a mounted file system; there is none on this system.
type FS struct{}

// Available returns why this process cannot mount.
func Available() error {
	return fmt.Errorf("fusefs is not available on %s: it needs Linux", runtime.GOOS)
}

// Mount fails.
func Mount(Config) (*FS, error) { return nil, Available() }

// Clean finds nothing to remove.
func Clean(string) ([]string, error) { return nil, nil }

// Dir returns nothing.
func (*FS) Dir() string { return "" }

// Inject fails.
func (*FS) Inject(Rule) (*Injection, error) { return nil, Available() }

// SetCapacity does nothing.
func (*FS) SetCapacity(int64) {}

// Used returns 0.
func (*FS) Used() int64 { return 0 }

// Counts returns nothing.
func (*FS) Counts() Counts { return Counts{} }

// PowerLoss fails.
func (*FS) PowerLoss(*rand.Rand, float64) (Loss, error) { return Loss{}, Available() }

// Unmount does nothing.
func (*FS) Unmount() error { return nil }
