package inmem

import (
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

func harness(class driver.Class) repotest.Harness {
	return repotest.Harness{Open: func(t testing.TB, dir string) driver.Store {
		s, err := Open(Config{Dir: dir, Class: class})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}}
}

func TestConformance(t *testing.T) { repotest.Conformance(t, harness(driver.Disk)) }

func TestConformanceInClassProcess(t *testing.T) { repotest.Conformance(t, harness(driver.Process)) }
