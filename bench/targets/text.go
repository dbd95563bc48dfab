package targets

import (
	"fmt"
	"io"
	"strings"
)

// Text writes the rows as a table, one block for each backend.
func Text(w io.Writer, rows []Reached) error {
	var b strings.Builder
	backend := ""
	counts := map[State]int{}
	for _, r := range rows {
		if r.Backend != backend {
			if backend != "" {
				b.WriteString("\n")
			}
			backend = r.Backend
			fmt.Fprintf(&b, "%s\n", backend)
		}
		counts[r.State]++
		fmt.Fprintf(&b, "  %-9s  %-12s  %s\n", r.State, r.Reached, r.Figure)
		fmt.Fprintf(&b, "  %-9s  %-12s    target %s; reference: %s\n", "", "", r.Target, r.Reference)
		if r.Note != "" {
			fmt.Fprintf(&b, "  %-9s  %-12s    %s\n", "", "", r.Note)
		}
	}
	fmt.Fprintf(&b, "\n%d reached, %d missed, %d not built\n", counts[StateReached], counts[StateMissed], counts[StateNotBuilt])
	_, err := io.WriteString(w, b.String())
	return err
}
