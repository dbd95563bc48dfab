package repotest

import (
	"testing"

	"trihold/repo/driver"
)

func TestConformance(t *testing.T) {
	t.Run("canonical rows", func(t *testing.T) { Conformance(t, modelHarness(func(m *Model) driver.Store { return m })) })
	t.Run("snapshots that are overtaken", func(t *testing.T) {
		Conformance(t, modelHarness(func(m *Model) driver.Store { return overtaken{m} }))
	})
	t.Run("live rows", func(t *testing.T) {
		Conformance(t, Harness{
			Open: func(testing.TB, string) driver.Store {
				m := NewModel()
				m.Live = true
				return m
			},
			Volatile: "nothing is kept, to see that this is said",
		})
	})
}

// modelHarness returns a harness whose stores are models, kept by directory and
// wrapped.
func modelHarness(wrap func(*Model) driver.Store) Harness {
	kept := map[string]*Model{}
	return Harness{Open: func(_ testing.TB, dir string) driver.Store {
		m := NewModel()
		if old, ok := kept[dir]; ok {
			m = old.Reopen()
		}
		kept[dir] = m
		return wrap(m)
	}}
}
