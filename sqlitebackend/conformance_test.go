package sqlitebackend

import (
	"context"
	"path/filepath"
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

func TestConformance(t *testing.T) {
	classes := []driver.Class{driver.Process, driver.Disk, driver.Replica}
	if testing.Short() {
		classes = classes[1:2]
	}
	for _, class := range classes {
		t.Run(string(class), func(t *testing.T) {
			repotest.Conformance(t, repotest.Harness{Open: func(t testing.TB, dir string) driver.Store {
				s, err := Open(context.Background(), testConfig(dir, class))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}})
		})
	}
}

// testConfig is a store in a directory, with its replica, if it has one, in the
// same.
func testConfig(dir string, class driver.Class) Config {
	c := Config{Path: filepath.Join(dir, "app.db"), Class: class}
	if class == driver.Replica {
		c.Replica = "file://" + filepath.Join(dir, "replica")
	}
	return c
}
