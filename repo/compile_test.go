package repo_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
	"testing"
)

// A program whose body of main is %s.
const program = `package main

import "trihold/repo"

type Run struct { ID string; Number int64 }

var runs = repo.NewTable("runs", func(r *Run) *string { return &r.ID })
var byNumber = repo.NewUnique1(runs, func(r *Run) *int64 { return &r.Number })

func view(tx *repo.ReadTx) error { BODY }
func update(tx *repo.Tx) error { UPDATE }
func main() {}
`

func compileErrors(t *testing.T, view, update string) string {
	t.Helper()
	fset := token.NewFileSet()
	src := strings.NewReplacer("BODY", view, "UPDATE", update).Replace(program)
	f, err := parser.ParseFile(fset, "main.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var errs []string
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil), Error: func(err error) { errs = append(errs, err.Error()) }}
	_, _ = conf.Check("main", fset, []*ast.File{f}, nil)
	return strings.Join(errs, "\n")
}

func TestAWriteInsideAViewDoesNotCompile(t *testing.T) {
	write := "return runs.Insert(tx, Run{})"
	if errs := compileErrors(t, "_, err := byNumber.Get(tx, 1); return err", write); errs != "" {
		t.Errorf("the right program does not compile:\n%s", errs)
	}
	if errs := compileErrors(t, write, write); !strings.Contains(errs, "cannot use tx") {
		t.Errorf("a write inside View: compiler says %q", errs)
	}
	if errs := compileErrors(t, "_, err := byNumber.Get(tx, \"one\"); return err", write); !strings.Contains(errs, "cannot use \"one\"") {
		t.Errorf("a key of another type: compiler says %q", errs)
	}
}
