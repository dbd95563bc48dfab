package inmem

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strings"

	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// The manifest is the file that makes a directory a store. It is written when
// the store is created and never again: three lines of text, namely a magic with
// the format's version, the manifest as JSON, and the CRC-32C of the first two.
const (
	manifestName   = "store"
	manifestMagic  = "trihold inmem store, format "
	manifestFormat = 1
)

// A manifest identifies a store.
type manifest struct {
	ID     wal.StoreID
	Schema string // driver.Schema.Describe
}

type manifestJSON struct {
	ID        string          `json:"id"`
	MinReader int             `json:"min_reader"`
	Schema    json.RawMessage `json:"schema"`
}

func newManifest(s *driver.Schema) manifest {
	m := manifest{Schema: s.Describe()}
	if _, err := rand.Read(m.ID[:]); err != nil {
		panic(err) // crypto/rand never returns an error
	}
	return m
}

func (m manifest) encode() ([]byte, error) {
	body, err := json.Marshal(manifestJSON{hex.EncodeToString(m.ID[:]), manifestFormat, json.RawMessage(m.Schema)})
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s%d\n%s\n", manifestMagic, manifestFormat, body)
	return fmt.Appendf(nil, "%s%08x\n", text, crc32.Checksum([]byte(text), castagnoli)), nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readManifest returns the manifest of a directory, or fs.ErrNotExist.
func readManifest(fsys vfs.FS, dir string) (m manifest, err error) {
	name := filepath.Join(dir, manifestName)
	content, err := vfs.ReadFile(fsys, name)
	if err != nil {
		return m, err
	}
	corrupt := func(why string) (manifest, error) {
		return m, fmt.Errorf("%s: %s; restore a backup of the directory: %w", name, why, driver.ErrCorrupt)
	}
	text := string(content)
	if !strings.HasPrefix(text, manifestMagic) {
		return corrupt("not a manifest")
	}
	end := strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n') + 1
	if text[end:] != fmt.Sprintf("%08x\n", crc32.Checksum(content[:end], castagnoli)) {
		return corrupt("the manifest does not match its checksum")
	}
	lines := strings.SplitN(text, "\n", 3)
	var body manifestJSON
	if err := json.Unmarshal([]byte(lines[1]), &body); err != nil {
		return corrupt(err.Error())
	}
	if body.MinReader > manifestFormat {
		return m, fmt.Errorf("%s: made by a newer version (format %d, this program reads %d); use a newer program: %w", name, body.MinReader, manifestFormat, driver.ErrInvalid)
	}
	id, err := hex.DecodeString(body.ID)
	if err != nil || len(id) != len(m.ID) {
		return corrupt("no store ID")
	}
	copy(m.ID[:], id)
	m.Schema = string(body.Schema)
	return m, nil
}

// inspect says what a directory is: a store, whose manifest it returns, or a
// place where one can be made. Anything else is an error.
func inspect(fsys vfs.FS, dir string) (m manifest, isStore bool, err error) {
	m, err = readManifest(fsys, dir)
	if err == nil {
		return m, true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return m, false, err
	}
	names, err := fsys.List(dir)
	if err != nil {
		return m, false, err
	}
	for _, name := range names {
		switch name {
		case lockName:
		case logDir:
			// The log is made before the manifest. If it holds anything, then the
			// manifest was there.
			if fresh, err := wal.Fresh(fsys, filepath.Join(dir, logDir)); err != nil || !fresh {
				return m, false, fmt.Errorf("%s: there is a log, but the file %q beside it is missing; restore a backup of the directory: %w", dir, manifestName, errors.Join(driver.ErrCorrupt, err))
			}
		case snapshotDir:
			// So is this directory, empty.
			if names, err := fsys.List(filepath.Join(dir, snapshotDir)); err != nil || len(names) > 0 {
				return m, false, fmt.Errorf("%s: there are snapshots, but the file %q beside them is missing; restore a backup of the directory: %w", dir, manifestName, errors.Join(driver.ErrCorrupt, err))
			}
		case manifestName + ".tmp":
		default:
			return m, false, fmt.Errorf("%s holds %q and is no store of this backend; use an empty directory: %w", dir, name, driver.ErrInvalid)
		}
	}
	return m, false, nil
}
