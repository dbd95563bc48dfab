package repo

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func inDir(t *testing.T, config string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if config != "" {
		if err := os.WriteFile(ConfigFile, []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAStoreIsChosenByURLByNameOrByDefault(t *testing.T) {
	inDir(t, "default: local\nstores:\n  local: inmem:data\n  next: sqlite:app.db?class=disk\n")
	for name, want := range map[string]string{
		"rqlite://h:4001": "rqlite://h:4001",
		"next":            "sqlite:app.db?class=disk",
		"local":           "inmem:data",
		"":                "inmem:data",
	} {
		if got, err := Resolve(name); got != want || err != nil {
			t.Errorf("%q is %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestAWrongChoiceOfStoreSaysWhatThereIs(t *testing.T) {
	for _, c := range []struct{ config, name, want string }{
		{"", "", "no store is chosen; name one by URL"},
		{"", "local", `"local" is neither a URL`},
		{"stores:\n  a: inmem:a\n  b: inmem:b\n", "c", `no store is called "c"; there are: a, b`},
		{"stores:\n  a: inmem:a\n", "", "there is no default; choose one of: a"},
		{"stores: [1, 2]\n", "a", "load configuration trihold.yaml: invalid: yaml:"},
		{"shops:\n  a: inmem:a\n", "a", "field shops not found"},
	} {
		inDir(t, c.config)
		_, err := Resolve(c.name)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q in %q: %v, want one line with %q", c.name, c.config, err, c.want)
		}
	}
}
