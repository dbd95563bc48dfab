package mutants

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Mutant is one fault of the store.
type Mutant struct {
	Name  string
	Why   string // what it would mean in a service
	Edits []Edit
}

// An Edit replaces text that occurs once in a file.
type Edit struct {
	File string // from the root of the module, with slashes
	Old  string
	New  string
}

// Apply returns the files that the mutant changes, by their names, as they are
// under a root directory with the edits made.
func (m Mutant) Apply(root string) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.Edits {
		text, ok := changed[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("mutant %s: %s has the text %d times, want once:\n%s", m.Name, e.File, n, e.Old)
		}
		changed[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return changed, nil
}
