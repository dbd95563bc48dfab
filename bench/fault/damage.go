package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"trihold/bench/fault/damage"
)

// fileKinds are the kinds of files that are damaged at rest, with their numbers in
// the catalogue.
var fileKinds = []struct {
	kind    FileKind
	numbers string
}{
	{LogFile, "F29 F30"}, {SnapshotFile, "F31"}, {DatabaseFile, "F32"}, {WALFile, "F29 F30"}, {ReplicaFile, "F33"},
}

// foreignDamage is what is known of the libraries: none of them claims to notice.
var foreignDamage = map[string]string{
	"sqlite": "SQLite's pages have no checksums, and its log ends without an error at the first frame that does not match (sqlite.org/fileformat2.html)",
	"rqlite": "bbolt's pages have no checksums, nor has an entry of the Raft log; SQLite's have none either",
}

// damageFaults damage files while nobody has them open.
func damageFaults() []Fault {
	var faults []Fault
	for _, f := range fileKinds {
		for _, kind := range damage.Kinds() {
			if f.kind == ReplicaFile && kind == damage.OldVersion {
				continue // objects of a replica are never written twice
			}
			faults = append(faults, damageFault(f.kind, f.numbers, kind))
		}
	}
	return faults
}

func damageFault(files FileKind, numbers string, kind damage.Kind) Fault {
	about := fmt.Sprintf("%s in a file of kind %s, after a kill: it is refused with ErrCorrupt, or nothing is missing and nothing is wrong", kind, files)
	if files == ReplicaFile {
		about += "; the database is lost too and restored from it"
	}
	return Fault{
		Name: fmt.Sprintf("%s-%s", files, kind), Numbers: numbers, About: about, MayRefuse: true, GapsAllowed: files == ReplicaFile,
		Quick: kind == damage.FlipBit && (files == LogFile || files == DatabaseFile), Foreign: foreignDamage,
		Fits: func(s Subject) string {
			if s.Files[files] == nil || files == ReplicaFile && s.Class != "replica" {
				return "it has no such file"
			}
			return ""
		},
		Break: func(ctx context.Context, c *Cell) error {
			older, err := c.older(ctx, kind)
			if err != nil {
				return err
			}
			if files == SnapshotFile {
				if err := c.awaitSnapshot(ctx); err != nil {
					return err
				}
			}
			if err := c.Kill(); err != nil {
				return err
			}
			if err := c.members[0].harm(files, kind, older); err != nil {
				return err
			}
			if files == ReplicaFile {
				if err := c.loseDatabase(); err != nil {
					return err
				}
			}
			return c.Start(ctx)
		},
	}
}

// older returns an earlier copy of the directory, if the damage needs one.
func (c *Cell) older(ctx context.Context, kind damage.Kind) (string, error) {
	if kind != damage.OldVersion {
		return "", nil
	}
	if err := c.Stop(); err != nil {
		return "", err
	}
	to := c.Dir + "-older"
	if err := damage.Save(c.Dir, to); err != nil {
		return "", err
	}
	if err := c.Start(ctx); err != nil {
		return "", err
	}
	from := c.crowd.Acked()
	return to, c.Until(ctx, "there is something newer", func() bool { return c.crowd.Acked() > from+200 })
}

// awaitSnapshot waits until there is a snapshot: some stores write one when they
// have grown, others when they are stopped.
func (c *Cell) awaitSnapshot(ctx context.Context) error {
	if err := c.Stop(); err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	return c.Until(ctx, "there is a snapshot", func() bool {
		names, err := damage.Find(c.Dir, c.Subject.Files[SnapshotFile]...)
		return err == nil && len(names) > 0
	})
}

// loseDatabase removes the database and everything beside it but the replica.
func (c *Cell) loseDatabase() error {
	names, err := filepath.Glob(filepath.Join(c.Dir, "app.db*"))
	if err != nil {
		return err
	}
	hidden, err := filepath.Glob(filepath.Join(c.Dir, ".app.db*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range append(names, hidden...) {
		errs = append(errs, os.RemoveAll(name))
	}
	return errors.Join(errs...)
}
