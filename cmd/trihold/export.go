package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"trihold/bench/report"
	"trihold/repo"
	"trihold/repo/archive"
)

func newExport(c console) *cobra.Command {
	var out string
	var tables []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "export STORE -o FILE",
		Short: "write the content of a store to one file, from which any backend can be filled",
		Long: `export writes an archive: the rows of all tables, or of those named, at one
revision, with a digest of each table. The store may be used meanwhile, where its
backend allows a second process. The file is there only when it is complete.

trihold verify checks an archive, trihold import fills an empty store of any backend
from it.

` + exitCodes,
		Example: `  trihold export sqlite:app.db -o app.trihold
  trihold export local --table runs --table users -o some.trihold`,
		Args: named("STORE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return &usageError{"export needs a file to write to: name it with -o"}
			}
			return export(cmd.Context(), c, args[0], out, tables, asJSON)
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&out, "out", "o", "", "write the archive to this file")
	fl.StringArrayVar(&tables, "table", nil, "export only this table; may be given several times")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// named accepts exactly the arguments with the given names.
func named(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return &usageError{fmt.Sprintf("%s needs %s: see %s --help", cmd.CommandPath(), names[len(args)], cmd.CommandPath())}
		}
		return noArgs(cmd, args[len(names):])
	}
}

func export(ctx context.Context, c console, name, path string, tables []string, asJSON bool) (err error) {
	store, err := openStored(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	m := newMeter(c)
	var d repo.Digest
	size, err := writeWhole(path, func(f *os.File) (err error) {
		d, err = archive.Export(ctx, store, f, tables, m.show)
		return err
	})
	m.progress.clear()
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(c.out).Encode(map[string]any{"file": path, "bytes": size, "content": d})
	}
	if err := printContent(c.out, d); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "exported to %s, %s bytes; check it with trihold verify %s\n", path, report.Count(float64(size)), commandLine([]string{path}))
	return nil
}

// writeWhole writes a file that is there under its name only when it is complete
// and on the disk. It returns its size.
func writeWhole(path string, write func(*os.File) error) (size int64, err error) {
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return 0, &usageError{fmt.Sprintf("%v: name a file in a directory that can be written with -o", err)}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp))
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		return 0, err
	}
	if err = os.Rename(tmp, path); err != nil {
		return 0, err
	}
	return info.Size(), syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
