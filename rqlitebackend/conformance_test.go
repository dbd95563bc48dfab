package rqlitebackend

import (
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

func TestConformance(t *testing.T) {
	needBinary(t)
	repotest.Conformance(t, repotest.Harness{
		Open: func(t testing.TB, dir string) driver.Store { return openManaged(t, dir) },
	})
}
