package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"trihold/repo/archive"
)

func newImport(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import FILE STORE",
		Short: "fill an empty store from an archive that trihold export wrote",
		Long: `import checks an archive and then fills an empty store of any backend from it. Rows
keep their revisions, and the store goes on from the revision of the archive. An
archive of some tables makes a store with all of them, of which the others are
empty.

Until the digest of the store is that of the archive the store is closed: programs
that open it get an error. If an import is interrupted, the same import again goes
on where it was.

` + exitCodes,
		Example: `  trihold import app.trihold inmem:data
  trihold import app.trihold 'rqlite:rq?managed=1'`,
		Args: named("FILE", "STORE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return importFile(cmd.Context(), c, args[0], args[1], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func importFile(ctx context.Context, c console, path, name string, asJSON bool) (err error) {
	f, size, err := openArchive(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// What is no archive is refused before the store is even touched.
	if _, err := archive.NewReader(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	store, err := openEmpty(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	m := newMeter(c)
	d, err := archive.Import(ctx, m.counted(f, size), store, m.show)
	m.progress.clear()
	if err != nil {
		return fmt.Errorf("%s into %s: %w", path, shown(name), err)
	}
	if asJSON {
		return json.NewEncoder(c.out).Encode(map[string]any{"store": shown(name), "content": d})
	}
	if err := printContent(c.out, d); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "imported into %s, which holds what the archive does\n", shown(name))
	return nil
}

// openArchive opens a file and returns its size.
func openArchive(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, &usageError{fmt.Sprintf("%v: name a file that trihold export wrote", err)}
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &usageError{fmt.Sprintf("%s is not a file: name one that trihold export wrote", path)}
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}
