package inmem

import (
	"errors"
	"fmt"
	"path/filepath"

	"trihold/internal/wal"
)

// An InspectedSegment is a file of the log.
type InspectedSegment struct {
	File       string `json:"file"`
	Generation uint32 `json:"generation,omitempty"`
	// Void: entries were taken back, and another file has taken the place of this one.
	Void    bool   `json:"void,omitempty"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"` // before First if there is no entry
	Entries uint64 `json:"entries"`
	Bytes   int64  `json:"bytes"` // up to the last entry
	Size    int64  `json:"size"`
	// Floor is the entry up to which the file itself says that entries were synced.
	Floor    uint64 `json:"floor,omitempty"`
	Followed bool   `json:"followed,omitempty"`
	Torn     int64  `json:"torn,omitempty"` // bytes of a write that a crash interrupted
	Whole    bool   `json:"whole"`
}

// segments inspects the files of a log, each by itself.
func (in *Inspection) segments(c wal.Config, dir string) error {
	all, err := wal.Survey(c)
	if err != nil {
		return err
	}
	if all.TideDamage != nil {
		err = in.refusedAt(filepath.Join(dir, all.TideFile), 0, all.TideDamage, remedyFloor)
	}
	for _, s := range all.Segments {
		file := filepath.Join(dir, s.File)
		in.Log = append(in.Log, InspectedSegment{File: file, Generation: s.Generation, Void: s.Void, First: s.First, Last: s.Last,
			Entries: s.Last + 1 - s.First, Bytes: s.Used, Size: s.Size, Floor: s.Floor, Followed: s.Followed, Torn: s.Torn, Whole: s.Damage == nil})
		if s.Damage != nil {
			err = errors.Join(err, in.refusedAt(file, s.Used, s.Damage, remedyBackup))
		} else if s.Torn > 0 {
			in.find(file, s.Used, fmt.Errorf("%d bytes are no entry: a crash interrupted a write", s.Torn), remedyTail)
		}
		if s.TornFloor {
			in.find(file, -1, errors.New("one of the two places that say what was synced is not readable, as a loss of power can leave it"), remedyFloor)
		}
	}
	return err
}
