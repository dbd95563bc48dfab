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

// The manifest is the file that makes a directory a store. It is written as a whole
// when the store is created, and when it becomes a member of a cluster or of a new
// epoch: three lines of text, namely a magic with the format's version, the manifest as
// JSON, and the CRC-32C of the first two. Format 2 is that of a member.
const (
	manifestName   = "store"
	manifestMagic  = "trihold inmem store, format "
	singleFormat   = 1
	manifestFormat = 2
)

// A manifest identifies a store.
type manifest struct {
	ID     wal.StoreID // the same in all members of a cluster
	Schema string      // driver.Schema.Describe
	Member *membership // nil for a single node
}

// A membership is what makes a directory that of a certain node.
type membership struct {
	Epoch uint64 `json:"epoch"` // of the cluster
	Node  string `json:"node"`  // the node's name
	Dir   string `json:"dir"`   // the directory's ID: a name alone can come back with nothing
	// Join are addresses of members that the node asks to be taken in, until it is.
	Join []string `json:"join,omitempty"`
	// Quarantined says why the state is not to be believed. When the directory is
	// opened again, it begins anew as another one, and gets its state from the others.
	Quarantined string `json:"quarantined,omitempty"`
}

type manifestJSON struct {
	ID        string          `json:"id"`
	MinReader int             `json:"min_reader"`
	Schema    json.RawMessage `json:"schema"`
	Member    *membership     `json:"member,omitempty"`
}

// write makes the manifest durable in a directory, in the place of the one before.
func (m manifest) write(fsys vfs.FS, dir string) error {
	text, err := m.encode()
	if err != nil {
		return err
	}
	return vfs.WriteFile(fsys, filepath.Join(dir, manifestName), text)
}

func newManifest(s *driver.Schema) manifest {
	m := manifest{Schema: s.Describe()}
	if _, err := rand.Read(m.ID[:]); err != nil {
		panic(err) // crypto/rand never returns an error
	}
	return m
}

func (m manifest) encode() ([]byte, error) {
	format := singleFormat
	if m.Member != nil {
		format = manifestFormat
	}
	body, err := json.Marshal(manifestJSON{hex.EncodeToString(m.ID[:]), format, json.RawMessage(m.Schema), m.Member})
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s%d\n%s\n", manifestMagic, format, body)
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
	m.Schema, m.Member = string(body.Schema), body.Member
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
		case raftDir:
			// What a member keeps is made before its manifest, too; unless something is
			// in it that cannot be without.
			if fresh, err := freshRaft(fsys, dir); err != nil || !fresh {
				return m, false, fmt.Errorf("%s: there are a member's files, but the file %q beside them is missing; %s: %w", dir, manifestName, remedyRejoin, errors.Join(driver.ErrCorrupt, err))
			}
		case adminName: // of a member that did not close
		case manifestName + ".tmp":
		default:
			return m, false, fmt.Errorf("%s holds %q and is no store of this backend; use an empty directory: %w", dir, name, driver.ErrInvalid)
		}
	}
	return m, false, nil
}
