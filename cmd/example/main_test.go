package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func Example() {
	if err := os.Setenv("TRIHOLD_STORE", "inmem:?class=memory"); err != nil {
		panic(err)
	}
	main()
	// Output: 1 main-1 ada [nightly]
}

func TestTheReadmeShowsThisProgram(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, ok := bytes.Cut(program, []byte("package main"))
	if !ok {
		t.Fatal("no package clause")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(readme, bytes.TrimSpace(program)) {
		t.Error("README.md does not hold main.go word for word, from its package clause on")
	}
}

func TestTheExampleRunsUnchangedOnEveryBackend(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "example")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	rqlited, err := filepath.Abs("../../bin/rqlited")
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range []string{"inmem:data", "sqlite:app.db", "rqlite:rq?managed=1"} {
		t.Run(store, func(t *testing.T) {
			if _, err := os.Stat(rqlited); err != nil && strings.HasPrefix(store, "rqlite") {
				t.Skip("no bin/rqlited: install a C compiler and run make build")
			}
			last := ""
			for n := 1; n <= 4; n++ {
				cmd := exec.Command(bin)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "TRIHOLD_STORE="+store, "TRIHOLD_RQLITED="+rqlited)
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("run %d: %v\n%s", n, err, out)
				}
				last = string(out)
			}
			if last != "4 main-4 ada [nightly]\n3 main-3 ada [nightly]\n2 main-2 ada [nightly]\nand more\n" {
				t.Errorf("the fourth run printed\n%s", last)
			}
		})
	}
}
