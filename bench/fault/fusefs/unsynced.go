package fusefs

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
)

// sectorSize is what a disk writes as a whole.
const sectorSize = 512

// maxOlder is how many states of a sector between the synced and the newest one
// are remembered.
const maxOlder = 3

// A store is the content of a file.
type store interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// unsynced is what was done to a file since it was last synced: enough to go back,
// wholly or in part. The newest state is in the file itself.
type unsynced struct {
	size    int64 // now
	synced  int64 // the size at the last sync
	low     int64 // the smallest size since
	grown   int64 // the size that was set last, without writing, if it is more
	sectors map[int64]*sector
}

// A sector is a sector that was changed since the last sync.
type sector struct {
	before  []byte   // as it was synced; short where the file ended
	older   [][]byte // states after that one and before the newest, oldest first
	written bool     // since the file was last made so short that it had no such sector
	doomed  bool     // a sync failed: the newest state is never going to be on the disk
}

func newUnsynced(size int64) unsynced {
	return unsynced{size: size, synced: size, low: size, sectors: map[int64]*sector{}}
}

// clean reports whether a loss of power would take nothing.
func (u *unsynced) clean() bool {
	return len(u.sectors) == 0 && u.size == u.synced && u.low == u.synced && u.grown == 0
}

// willWrite is called before n bytes are written.
func (u *unsynced) willWrite(f store, off int64, n int) error {
	if n == 0 {
		return nil
	}
	first, end := off/sectorSize, (off+int64(n)-1)/sectorSize+1
	now, err := u.read(f, first, end)
	if err != nil {
		return err
	}
	for s := first; s < end; s++ {
		state := sectorOf(now, s-first)
		c := u.sectors[s]
		switch {
		case c == nil:
			c = &sector{before: u.onlySynced(s, state)}
			u.sectors[s] = c
		case c.written && !c.doomed:
			if len(c.older) == maxOlder {
				c.older = slices.Delete(c.older, 0, 1)
			}
			c.older = append(c.older, state)
		}
		c.written, c.doomed = true, false
	}
	return nil
}

// wrote is called after n bytes were written.
func (u *unsynced) wrote(off int64, n int) {
	if n > 0 {
		u.size = max(u.size, off+int64(n))
	}
}

// willTruncate is called before the size is set.
func (u *unsynced) willTruncate(f store, size int64) error {
	const chunk = 2048 // sectors read at once
	first, end := size/sectorSize, (min(u.size, u.synced)+sectorSize-1)/sectorSize
	for ; size < u.size && first < end; first += chunk {
		last := min(first+chunk, end)
		now, err := u.read(f, first, last)
		if err != nil {
			return err
		}
		for s := first; s < last; s++ {
			if u.sectors[s] == nil {
				u.sectors[s] = &sector{before: u.onlySynced(s, sectorOf(now, s-first))}
			}
		}
	}
	return nil
}

// truncated is called after the size was set.
func (u *unsynced) truncated(size int64) {
	u.low, u.grown = min(u.low, size), 0
	if size > u.low {
		u.grown = size
	}
	if size < u.size {
		for s, c := range u.sectors {
			switch start := s * sectorSize; {
			case start+sectorSize <= size:
			case start < size: // its end was cut off
				c.written = true
			case start < u.synced:
				c.written, c.doomed, c.older = false, false, nil
			default:
				delete(u.sectors, s)
			}
		}
	}
	u.size = size
}

// sync makes everything durable but what is doomed.
func (u *unsynced) sync() {
	maps.DeleteFunc(u.sectors, func(_ int64, c *sector) bool { return !c.doomed })
	u.synced, u.low, u.grown = u.size, u.size, 0
}

// failSync is called when a sync failed: the kernel now takes what was written for
// clean, and will not write it again.
func (u *unsynced) failSync() {
	for _, c := range u.sectors {
		if c.written {
			c.doomed, c.older = true, nil
		}
	}
}

// lose takes the file back to its last sync, but for the part that survives.
func (u *unsynced) lose(f store, r *rand.Rand, keep float64) (lost, kept int, err error) {
	survives := func() bool { return r.Float64() < keep }
	cut := u.low < u.synced && survives()
	size := u.synced
	if cut {
		size = u.low
	}
	if u.grown > 0 && survives() {
		size = max(size, u.grown)
	}
	for _, s := range slices.Sorted(maps.Keys(u.sectors)) {
		c := u.sectors[s]
		start := s * sectorSize
		state := c.before
		switch {
		case !c.written && cut:
			continue // cut off, and nothing there since
		case !c.written:
		case !c.doomed && survives():
			kept++
			if len(c.older) == 0 || survives() {
				size = max(size, min(start+sectorSize, u.size))
				continue // the newest state is there
			}
			state = c.older[r.IntN(len(c.older))]
			size = max(size, start+int64(len(state)))
		default:
			lost++
			if cut {
				state = state[:max(0, min(int64(len(state)), u.low-start))]
			}
		}
		whole := make([]byte, sectorSize)
		copy(whole, state)
		if _, err := f.WriteAt(whole, start); err != nil {
			return lost, kept, fmt.Errorf("take back sector %d: %w", s, err)
		}
	}
	if err := f.Truncate(size); err != nil {
		return lost, kept, fmt.Errorf("take back size: %w", err)
	}
	*u = newUnsynced(size)
	return lost, kept, nil
}

// read reads sectors, as far as there are any.
func (u *unsynced) read(f store, first, end int64) ([]byte, error) {
	n := min(end*sectorSize, u.size) - first*sectorSize
	if n <= 0 {
		return nil, nil
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, first*sectorSize); err != nil {
		return nil, fmt.Errorf("read what was there before: %w", err)
	}
	return b, nil
}

// sectorOf returns a sector of what read returned.
func sectorOf(b []byte, i int64) []byte {
	start := min(i*sectorSize, int64(len(b)))
	end := min(start+sectorSize, int64(len(b)))
	return b[start:end:end]
}

// onlySynced cuts off what lies behind the end of the synced file: it came from
// growing the file without writing.
func (u *unsynced) onlySynced(s int64, state []byte) []byte {
	return state[:max(0, min(int64(len(state)), u.synced-s*sectorSize))]
}
