package report

import (
	"fmt"
	"maps"
	"slices"

	"trihold/bench/result"
)

// MigrationLines returns lines that say what happened to stores that were moved, all
// together, and where kills have hit; none if no store was.
func MigrationLines(f *result.File) []string {
	var sum result.Migration
	rounds, lost := 0, 0
	for _, c := range f.Cells {
		if c.Migration == nil || c.Control {
			continue
		}
		rounds++
		lost += c.Lost
		sum.Add(c.Migration)
	}
	if rounds == 0 {
		return nil
	}
	lines := []string{"kills that struck, by where"}
	for _, where := range slices.Sorted(maps.Keys(sum.Strikes)) {
		lines = append(lines, fmt.Sprintf("  %-43s %8s", where, Count(float64(sum.Strikes[where]))))
	}
	for _, row := range []struct {
		what  string
		times int
	}{
		{"rounds", rounds}, {"kills that struck", sum.Struck()}, {"kills that nothing came to, not counted", sum.Missed},
		{"cutovers", sum.Cutovers}, {"rollbacks", sum.Rollbacks}, {"completed", sum.Completed}, {"cutovers undone", sum.Undone},
		{"acknowledged commits lost", lost}, {"commits doubled", sum.Doubled}, {"two histories", sum.Histories},
	} {
		lines = append(lines, fmt.Sprintf("%-45s %8s", row.what, Count(float64(row.times))))
	}
	return append(lines, "")
}
