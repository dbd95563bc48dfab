package mutants

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// root returns the root of the module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
	}
}

func TestEveryMutantStillFindsItsText(t *testing.T) {
	names := map[string]bool{}
	for _, m := range slices.Concat(All(), Cluster(), Replica()) {
		if m.Name == "" || m.Why == "" || names[m.Name] {
			t.Errorf("mutant %q has no name of its own, or no reason", m.Name)
		}
		names[m.Name] = true
		files, err := m.Apply(root(t))
		if err != nil {
			t.Error(err)
			continue
		}
		for name, text := range files {
			if _, err := parser.ParseFile(token.NewFileSet(), name, text, 0); err != nil {
				t.Errorf("mutant %s is no Go: %v", m.Name, err)
			}
		}
	}
	if len(names) < 12 {
		t.Errorf("only %d mutants", len(names))
	}
}

func TestAnEditMustFindItsTextExactlyOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f.go"), []byte("a b a"), 0o644); err != nil {
		t.Fatal(err)
	}
	for old, ok := range map[string]bool{"b": true, "a": false, "c": false} {
		files, err := Mutant{Name: "m", Edits: []Edit{{"f.go", old, "x"}}}.Apply(dir)
		if ok != (err == nil) || ok && files["f.go"] != "a x a" {
			t.Errorf("edit of %q: %v, %v", old, files, err)
		}
	}
}
