package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

const module = "trihold"

// mayImport says, for each part of the tree, which other parts its packages may
// import, tests aside. The most specific part that contains a package decides.
var mayImport = map[string][]string{
	"cmd":           {"bench", "repo", "repo/driver", "repo/migrate", "repo/archive", "inmem", "sqlitebackend", "rqlitebackend", "internal"},
	"bench":         {"repo", "repo/driver", "repo/migrate", "internal"},
	"repo/archive":  {"repo", "repo/driver", "internal"},
	"repo/migrate":  {"repo", "repo/driver", "internal"},
	"repo/repotest": {"repo", "repo/driver", "internal"},
	"repo":          {"repo/driver", "internal"},
	"inmem":         {"repo/driver", "internal"},
	"sqlitebackend": {"repo/driver", "internal"},
	"rqlitebackend": {"repo/driver", "internal"},
	"internal":      {"repo/driver"},
	"repo/driver":   {},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDownward(t *testing.T) {
	for _, p := range packages(t) {
		from := part(p.ImportPath)
		if from == "" {
			t.Errorf("package %s lies in no known part of the tree", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if !allowed(from, imported) {
				t.Errorf("%s (%s) imports %s, which it must not", p.ImportPath, from, imported)
			}
		}
	}
}

// The contract stays free of dependencies, so that every program can afford it.
func TestDriverImportsOnlyTheStandardLibrary(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"/repo/driver" {
			continue
		}
		for _, imported := range p.Imports {
			if strings.Contains(strings.Split(imported, "/")[0], ".") {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
		return
	}
	t.Error("package repo/driver is gone")
}

// The rules themselves are tested, so that the test can fail.
func TestRulesRefuseUpwardAndSidewaysImports(t *testing.T) {
	for _, c := range []struct {
		from, imported string
		want           bool
	}{
		{"inmem", "trihold/repo", false},
		{"inmem", "trihold/sqlitebackend", false},
		{"repo", "trihold/inmem", false},
		{"bench", "trihold/rqlitebackend", false},
		{"repo/driver", "trihold/internal/anything", false},
		{"internal", "trihold/repo", false},
		{"bench", "trihold/repo/repotest", false},
		{"cmd", "trihold/inmem", true},
		{"inmem", "trihold/inmem/deeper", true},
		{"inmem", "trihold/repo/driver", true},
		{"repo", "example.com/any", true},
	} {
		if got := allowed(c.from, c.imported); got != c.want {
			t.Errorf("%s importing %s: allowed = %v, want %v", c.from, c.imported, got, c.want)
		}
	}
}

func allowed(from, imported string) bool {
	to := part(imported)
	if to == "" || to == from {
		return true
	}
	for _, ok := range mayImport[from] {
		if to == ok {
			return true
		}
	}
	return false
}

// part returns the part of the tree that a package of this module lies in.
func part(importPath string) string {
	p, ok := strings.CutPrefix(importPath, module+"/")
	for ; ok && p != "." && p != ""; p = path.Dir(p) {
		if _, known := mayImport[p]; known {
			return p
		}
	}
	return ""
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
