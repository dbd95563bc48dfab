package inmem

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"trihold/internal/lockfile"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// An Inspection is what the directory of a store holds, read without opening it.
type Inspection struct {
	Dir string `json:"dir"`
	// InUse names the process that has the store open, as far as that can be seen. It
	// goes on writing, so what was read may not fit together.
	InUse string `json:"in_use,omitempty"`
	Store string `json:"store"` // the ID of the store, or of the cluster
	// Format is that of the manifest: 1 for a single node, 2 for a member.
	Format int `json:"format"`
	// Schema is the description of the tables; see driver.ParseSchema.
	Schema    json.RawMessage     `json:"schema,omitempty"`
	Member    *InspectedMember    `json:"member,omitempty"`
	Log       []InspectedSegment  `json:"log"`
	Snapshots []InspectedSnapshot `json:"snapshots"`
	// Content is nil if it cannot be rebuilt: the store would not open.
	Content  *InspectedContent `json:"content,omitempty"`
	Findings []Finding         `json:"findings"`
}

// A Finding is something that is not as it should be.
type Finding struct {
	File    string `json:"file,omitempty"`
	Offset  int64  `json:"offset"` // in the file; -1 if it is about no certain place
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"`
	// Harmless is what any crash or loss of power can leave, and the next start mends.
	Harmless bool `json:"harmless,omitempty"`
}

// What helps against damage.
const (
	remedyBackup  = "restore a backup of the directory"
	remedyNothing = "nothing: the store opens without it, and the next snapshot takes its place"
	remedyTail    = "nothing: it is cut off when the store is opened; it was never acknowledged"
	remedyFloor   = "nothing: it is written anew when the store is opened"
	remedyStop    = "stop the process that has it open, and inspect it again"
	remedyNewer   = "use a newer program"
)

// Inspect reads the directory of a store and verifies all of it: every checksum, and
// the state that snapshot and log make, with its indices. It neither locks nor changes
// anything, and needs no schema. Whatever is wrong with the directory is a finding;
// an error is one of reading.
//
// The files must be writable for this user all the same, since they are opened as a
// store opens them.
func Inspect(ctx context.Context, fsys vfs.FS, dir string) (*Inspection, error) {
	in := &Inspection{Dir: dir, Log: []InspectedSegment{}, Snapshots: []InspectedSnapshot{}, Findings: []Finding{}}
	disk := newDraft(fsys)
	err := in.inspect(ctx, disk)
	if in.InUse != "" && errors.Is(err, fs.ErrNotExist) { // its owner has removed a file meanwhile
		in.find("", -1, err, remedyStop)
		err = nil
	}
	if err = errors.Join(err, disk.close()); err != nil {
		return nil, fmt.Errorf("inspect %s: %w", dir, err)
	}
	return in, nil
}

func (in *Inspection) inspect(ctx context.Context, disk *draft) error {
	holder, err := lockfile.Holder(filepath.Join(in.Dir, lockName))
	if err != nil {
		return err
	}
	in.InUse = holder
	m, err := readManifest(disk, in.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, listErr := disk.List(in.Dir); listErr != nil {
			return listErr
		}
		in.find(manifestName, -1, errors.New("there is none: this is no store, or one without the file that makes it one"), remedyBackup)
		return nil
	case err != nil:
		return in.refused(manifestName, err, remedyBackup)
	}
	in.Store, in.Format, in.Schema = hex.EncodeToString(m.ID[:]), singleFormat, json.RawMessage(m.Schema)
	schema, err := driver.ParseSchema(m.Schema)
	if err != nil {
		return in.refused(manifestName, err, remedyBackup)
	}
	if m.Member != nil {
		in.Format = manifestFormat
		err = in.member(ctx, disk, m, schema)
	} else {
		err = in.single(ctx, disk, m, schema)
	}
	in.judge()
	return err
}

// judge corrects what was thought to be harmless: what cannot be rebuilt is not.
func (in *Inspection) judge() {
	for i := range in.Findings {
		if f := &in.Findings[i]; f.Remedy == remedyNothing && in.Content == nil {
			f.Remedy = remedyBackup
		}
	}
}

// find notes a finding.
func (in *Inspection) find(file string, offset int64, problem error, remedy string) {
	harmless := remedy == remedyTail || remedy == remedyFloor
	if in.InUse != "" {
		remedy = remedyStop
	}
	in.Findings = append(in.Findings, Finding{file, offset, problem.Error(), remedy, harmless})
}

// refused notes what is wrong with a file, unless the error is one of reading it.
func (in *Inspection) refused(file string, err error, remedy string) error {
	var at *blockError
	if errors.As(err, &at) {
		return in.refusedAt(file, at.offset, err, remedy)
	}
	return in.refusedAt(file, -1, err, remedy)
}

func (in *Inspection) refusedAt(file string, offset int64, err error, remedy string) error {
	switch {
	case errors.Is(err, driver.ErrCorrupt):
	case errors.Is(err, driver.ErrInvalid):
		remedy = remedyNewer
	default:
		return err
	}
	in.find(file, offset, err, remedy)
	return nil
}

// single inspects the directory of a single node.
func (in *Inspection) single(ctx context.Context, disk *draft, m manifest, schema *driver.Schema) error {
	err := in.snapshotsIn(disk, snapshotDir, func(file string) error { return in.singleSnapshot(disk, file, m, schema) })
	if err != nil {
		return err
	}
	s := &Store{
		c:      Config{Dir: in.Dir, FS: disk, SegmentBytes: minSegment, Logger: slog.New(slog.DiscardHandler)},
		schema: schema,
		recent: newRecent(),
	}
	if err := in.segments(s.logConfig(m.ID), logDir); err != nil {
		return err
	}
	r, err := s.recover(ctx, m)
	if err != nil {
		return in.refused(logDir, err, remedyBackup)
	}
	if err := s.journal.close(); err != nil {
		return err
	}
	return in.content(ctx, r, schema)
}
