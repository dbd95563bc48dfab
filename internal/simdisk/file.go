package simdisk

import (
	"io"
	"io/fs"
	"syscall"

	"trihold/internal/vfs"
)

// A file is an open file.
type file struct {
	disk   *Disk
	node   *node
	name   string // when it was opened; rules go by it
	power  int    // the disk's when it was opened
	closed bool   // guarded by disk.mu
}

var _ vfs.File = (*file)(nil)

// usable returns why nothing can be done with the file, if so. The caller holds
// the disk's mutex.
func (f *file) usable(op string) error {
	switch {
	case f.closed:
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	case f.power != f.disk.power:
		return &fs.PathError{Op: op, Path: f.name, Err: ErrPower}
	}
	return nil
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.usable("read"); err != nil {
		return 0, err
	}
	if err := f.disk.judge(Read, f.name).err; err != nil {
		return 0, err
	}
	if at >= int64(len(f.node.cur)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.cur[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements io.WriterAt.
func (f *file) WriteAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.usable("write"); err != nil {
		return 0, err
	}
	v := f.disk.judge(Write, f.name)
	switch {
	case v.err != nil && v.short:
		b = b[:f.disk.rng.IntN(len(b)+1)]
	case v.err != nil && !v.happens:
		return 0, v.err
	}
	n, err := f.disk.write(f.node, b, at)
	if v.err != nil {
		err = v.err
	}
	return n, err
}

// write writes as much as there is space for. The caller holds mu.
func (d *Disk) write(n *node, b []byte, at int64) (int, error) {
	var full error
	growth := at + int64(len(b)) - int64(len(n.cur))
	if d.capacity > 0 && growth > 0 && d.used+growth > d.capacity {
		full = &fs.PathError{Op: "write", Path: "simulated disk", Err: syscall.ENOSPC}
		room := max(d.capacity-d.used, 0)
		b = b[:max(0, int64(len(b))-(growth-room))]
	}
	before := int64(len(n.cur))
	if len(b) > 0 {
		n.write(b, at)
	}
	if !n.dropped {
		d.used += int64(len(n.cur)) - before
	}
	return len(b), full
}

// Sync implements vfs.File.
func (f *file) Sync() error {
	f.disk.mu.Lock()
	upTo := f.node.written
	f.disk.mu.Unlock()
	if f.disk.c.Slow != nil {
		f.disk.c.Slow(f.name)
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.usable("sync"); err != nil {
		return err
	}
	if v := f.disk.judge(Sync, f.name); v.err != nil {
		if !f.disk.crashed() {
			f.node.doubt()
		}
		return v.err
	}
	if f.disk.c.LieAboutSync {
		return nil
	}
	if f.disk.c.Versions > 0 && len(f.node.writes) > 0 {
		f.node.remember(f.disk.rng, f.disk.c.Versions)
	}
	f.node.sync(upTo)
	return nil
}

// Truncate implements vfs.File.
func (f *file) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.usable("truncate"); err != nil {
		return err
	}
	v := f.disk.judge(Truncate, f.name)
	if v.err != nil && !v.happens {
		return v.err
	}
	before := int64(len(f.node.cur))
	if d := f.disk; d.capacity > 0 && d.used+size-before > d.capacity {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: syscall.ENOSPC}
	}
	f.node.truncate(size)
	if !f.node.dropped {
		f.disk.used += size - before
	}
	return v.err
}

// Size implements vfs.File.
func (f *file) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.usable("stat"); err != nil {
		return 0, err
	}
	return int64(len(f.node.cur)), nil
}

// Close implements vfs.File.
func (f *file) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.usable("close"); err != nil {
		return err
	}
	f.closed = true
	return nil
}
