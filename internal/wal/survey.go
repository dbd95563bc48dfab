package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// A Surveyed is a log as Survey finds it.
type Surveyed struct {
	Segments []SurveyedSegment // the ones that count, in order, and then the void ones
	// TideFile is the file that says how far the log was synced, and Tide what it says;
	// 0 if there is none, or it is damaged.
	TideFile   string
	Tide       uint64
	TideDamage error
}

// A SurveyedSegment is a segment file.
type SurveyedSegment struct {
	File       string
	Generation uint32
	// Void: a later generation has taken the place of all of it.
	Void        bool
	First, Last uint64 // indices of its entries; Last is before First if there is none
	Size        int64  // of the file
	Used        int64  // offset behind the last entry
	Floor       uint64 // index up to which it says that entries were synced; 0 if it does not
	Followed    bool   // it says that another segment follows
	Torn        int64  // bytes behind the last entry of the log that are no entry
	TornFloor   bool   // one of its two floors is not readable, as a crash can leave it
	// Damage is what is wrong with the file by itself; then Used is where. Whether the
	// files fit together is for Open to say.
	Damage error
}

// Survey reads all segments of a log one by one, and changes nothing. Damage of one does
// not keep it from the others; an error is one of reading.
func Survey(c Config) (all Surveyed, err error) {
	names, err := c.FS.List(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil {
		err = all.surveyTide(c)
	}
	if err != nil {
		return all, fmt.Errorf("survey log: %w", err)
	}
	var ids []segmentID
	for _, name := range names {
		if id, ok := parseSegmentName(name); ok {
			ids = append(ids, id)
		}
	}
	live, void := liveSegments(ids)
	for i, id := range live {
		limit := uint64(noLimit)
		if i+1 < len(live) && live[i+1].generation > id.generation {
			limit = live[i+1].first - 1
		}
		s, err := survey(c, id, limit)
		if err != nil {
			return all, fmt.Errorf("survey log: %w", err)
		}
		if s.Torn > 0 && i+1 < len(live) {
			s.Damage = fmt.Errorf("damaged behind entry %d, though a segment follows: %w", s.Last, driver.ErrCorrupt)
		}
		all.Segments = append(all.Segments, s)
	}
	for _, id := range void {
		all.Segments = append(all.Segments, SurveyedSegment{File: id.fileName(), Generation: id.generation, First: id.first, Last: id.first - 1, Void: true})
	}
	return all, nil
}

// surveyTide reads the tide.
func (all *Surveyed) surveyTide(c Config) error {
	content, err := vfs.ReadFile(c.FS, filepath.Join(c.Dir, tideName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	all.TideFile = tideName
	if f, ok := decodeFloor(content); ok {
		all.Tide = f.index
	} else if !isZero(content) {
		all.TideDamage = fmt.Errorf("it does not match its checksum: %w", driver.ErrCorrupt)
	}
	return nil
}

// survey reads a segment, up to the entry with index limit.
func survey(c Config, id segmentID, limit uint64) (SurveyedSegment, error) {
	s := SurveyedSegment{File: id.fileName(), Generation: id.generation, First: id.first, Last: id.first - 1}
	seg, err := openSegment(c, id)
	if err != nil {
		return s.damaged(err)
	}
	found, err := scan(c, seg.file, limit, func(position, []byte) error { return nil })
	s.Size, s.Used, s.Torn = found.size, found.at, found.torn
	s.Floor, s.Followed = found.floor.index, found.floor.followed
	if found.at > 0 {
		s.Last = found.end.index
	}
	if err == nil {
		s.TornFloor, err = tornFloor(seg.file)
	}
	s, err = s.damaged(err)
	return s, errors.Join(err, seg.file.Close())
}

// tornFloor reports whether a floor of a segment is neither empty nor readable.
func tornFloor(f vfs.File) (bool, error) {
	b := make([]byte, floorSize)
	for _, at := range []int64{block, 2 * block} {
		if _, err := f.ReadAt(b, at); err != nil {
			return false, err
		}
		if _, ok := decodeFloor(b); !ok && !isZero(b) {
			return true, nil
		}
	}
	return false, nil
}

// damaged takes note of an error, unless it is one of reading.
func (s SurveyedSegment) damaged(err error) (SurveyedSegment, error) {
	if errors.Is(err, driver.ErrCorrupt) || errors.Is(err, driver.ErrInvalid) {
		s.Damage, err = err, nil
	}
	return s, err
}
