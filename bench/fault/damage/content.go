package damage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// A content is that of a file, to be changed at a place that counts.
type content struct {
	*os.File
	size int64
}

// read returns up to n bytes at an offset.
func (c *content) read(offset, n int64) ([]byte, error) {
	b := make([]byte, min(n, c.size-offset))
	_, err := c.ReadAt(b, offset)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("it changes while it is damaged: %w", io.ErrUnexpectedEOF)
	}
	return b, err
}

// used returns the length of the content without the zeros at its end.
func (c *content) used() (int64, error) {
	const step = 1 << 20
	for end := c.size; end > 0; {
		begin := max(0, end-step)
		b, err := c.read(begin, end-begin)
		if err != nil {
			return 0, err
		}
		if b = bytes.TrimRight(b, "\x00"); len(b) > 0 {
			return begin + int64(len(b)), nil
		}
		end = begin
	}
	return 0, nil
}

// unit chooses a piece of a certain size, at a multiple of it, that is not all
// zeros, any of those as likely as another. It returns its offset, and its length
// without the zeros that the file ends with.
func (a *applier) unit(c *content, size int64) (offset, length int64, err error) {
	used, err := c.used()
	if err != nil {
		return 0, 0, err
	}
	const units = 256 // read at once
	var candidates int64
	for at := int64(0); at < used; at += units * size {
		b, err := c.read(at, units*size)
		if err != nil {
			return 0, 0, err
		}
		for i := int64(0); i < int64(len(b)); i += size {
			if piece := b[i:min(i+size, int64(len(b)))]; len(bytes.TrimRight(piece, "\x00")) == 0 {
				continue
			}
			candidates++
			if a.rng.Int64N(candidates) == 0 {
				offset = at + i
			}
		}
	}
	if candidates == 0 {
		return 0, 0, ErrNothing
	}
	return offset, min(size, used-offset), nil
}

// flip inverts a bit.
func (a *applier) flip(c *content) (Done, error) {
	offset, length, err := int64(0), c.size, error(nil)
	if !a.Everywhere {
		offset, length, err = a.unit(c, sectorSize)
	} else if c.size == 0 {
		err = ErrNothing
	}
	if err != nil {
		return Done{}, err
	}
	offset += a.rng.Int64N(length)
	b, err := c.read(offset, 1)
	if err != nil {
		return Done{}, err
	}
	bit := a.rng.IntN(8)
	d, err := c.overwrite(offset, []byte{b[0] ^ 1<<bit})
	d.Bit = bit
	return d, err
}

// zero zeroes a piece.
func (a *applier) zero(c *content, size int64) (Done, error) {
	offset, _, err := a.unit(c, size)
	if err != nil {
		return Done{}, err
	}
	return c.overwrite(offset, make([]byte, min(size, c.size-offset)))
}

// truncate cuts off bytes at the end of what is in use.
func (a *applier) truncate(c *content) (Done, error) {
	end, err := c.size, error(nil)
	if !a.Everywhere {
		end, err = c.used()
	}
	if err != nil {
		return Done{}, err
	}
	most := a.MaxCut
	if most <= 0 {
		most = defaultMaxCut
	}
	if most = min(most, end); most == 0 {
		return Done{}, ErrNothing
	}
	end -= 1 + a.rng.Int64N(most)
	if err := c.Truncate(end); err != nil {
		return Done{}, err
	}
	gone := c.size - end
	return Done{Offset: end, Length: gone, Differ: gone}, nil
}

// overwrite writes, reads what is there now, and says how it differs from before.
func (c *content) overwrite(offset int64, b []byte) (Done, error) {
	before, err := c.read(offset, int64(len(b)))
	if err != nil {
		return Done{}, err
	}
	if _, err := c.WriteAt(b, offset); err != nil {
		return Done{}, err
	}
	after, err := c.read(offset, int64(len(b)))
	if err != nil {
		return Done{}, err
	}
	d := Done{Offset: offset, Length: int64(len(b)), Differ: differ(before, after)}
	if d.Differ == 0 {
		return Done{}, fmt.Errorf("%d bytes at %d are the same as before they were overwritten", len(b), offset)
	}
	return d, nil
}

// differ counts the bytes that differ, or that only one of both has.
func differ(a, b []byte) (n int64) {
	if len(a) < len(b) {
		a, b = b, a
	}
	for i := range b {
		if a[i] != b[i] {
			n++
		}
	}
	return n + int64(len(a)-len(b))
}
