package inmem

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"trihold/internal/vfs"
)

// A draft is a disk that reads what another one holds and keeps to itself what is
// written. So the code that opens a store can be asked what it would find, mend and
// refuse, and nothing changes.
type draft struct {
	base vfs.FS

	mu    sync.Mutex
	files map[string]*draftFile // guarded by mu; nil for what was removed
	dirs  map[string]bool       // guarded by mu: directories that were made
}

var _ vfs.FS = (*draft)(nil)

func newDraft(base vfs.FS) *draft {
	return &draft{base: base, files: map[string]*draftFile{}, dirs: map[string]bool{}}
}

// A draftFile is a file of a draft, which all who have it open share.
type draftFile struct {
	mu      sync.RWMutex
	base    vfs.File // guarded by mu; nil once there is own content
	content []byte   // guarded by mu
}

// find returns a file that is there. The caller holds mu.
func (o *draft) find(name string) (*draftFile, error) {
	f, known := o.files[name]
	if known && f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if known {
		return f, nil
	}
	base, err := o.base.Open(name)
	if err != nil {
		return nil, err
	}
	f = &draftFile{base: base}
	o.files[name] = f
	return f, nil
}

// Open implements vfs.FS.
func (o *draft) Open(name string) (vfs.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f, err := o.find(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Create implements vfs.FS.
func (o *draft) Create(name string) (vfs.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := o.find(name)
	if err == nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f := &draftFile{}
	o.files[name] = f
	return f, nil
}

// Rename implements vfs.FS.
func (o *draft) Rename(from, to string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	f, err := o.find(from)
	if err != nil {
		return err
	}
	o.files[from], o.files[to] = nil, f
	return nil
}

// Remove implements vfs.FS, for files and for directories.
func (o *draft) Remove(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.dirs, name)
	o.files[name] = nil
	return nil
}

// MkdirAll implements vfs.FS.
func (o *draft) MkdirAll(dir string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dirs[dir] = true
	return nil
}

// List implements vfs.FS.
func (o *draft) List(dir string) ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	names, err := o.base.List(dir)
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || !o.dirs[dir]) {
		return nil, err
	}
	for name, f := range o.files {
		if f != nil && filepath.Dir(name) == filepath.Clean(dir) {
			names = append(names, filepath.Base(name))
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		f, known := o.files[filepath.Join(dir, name)]
		return known && f == nil
	})
	slices.Sort(names)
	return slices.Compact(names), nil
}

// SyncDir implements vfs.FS.
func (o *draft) SyncDir(string) error { return nil }

// Lock implements vfs.FS: nobody else sees this disk.
func (o *draft) Lock(string, string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Usage implements vfs.FS.
func (o *draft) Usage(dir string) (int64, error) { return o.base.Usage(dir) }

// Free implements vfs.FS.
func (o *draft) Free(dir string) (int64, error) { return o.base.Free(dir) }

// close closes the files of the disk below.
func (o *draft) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var err error
	for _, f := range o.files {
		if f != nil {
			err = errors.Join(err, f.release())
		}
	}
	return err
}

func (f *draftFile) release() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base == nil {
		return nil
	}
	err := f.base.Close()
	f.base = nil
	return err
}

// ReadAt implements vfs.File.
func (f *draftFile) ReadAt(b []byte, at int64) (int, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.base != nil {
		return f.base.ReadAt(b, at)
	}
	if at >= int64(len(f.content)) {
		return 0, io.EOF
	}
	n := copy(b, f.content[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// own gives the file a content of its own. The caller holds mu.
func (f *draftFile) own() error {
	if f.base == nil {
		return nil
	}
	size, err := f.base.Size()
	if err != nil {
		return err
	}
	content := make([]byte, size)
	if _, err := f.base.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	base := f.base
	f.base, f.content = nil, content
	return base.Close()
}

// WriteAt implements vfs.File.
func (f *draftFile) WriteAt(b []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.own(); err != nil {
		return 0, err
	}
	if end := at + int64(len(b)); end > int64(len(f.content)) {
		f.content = append(f.content, make([]byte, end-int64(len(f.content)))...)
	}
	return copy(f.content[at:], b), nil
}

// Truncate implements vfs.File.
func (f *draftFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.own(); err != nil {
		return err
	}
	if size < int64(len(f.content)) {
		f.content = f.content[:size]
		return nil
	}
	f.content = append(f.content, make([]byte, size-int64(len(f.content)))...)
	return nil
}

// Size implements vfs.File.
func (f *draftFile) Size() (int64, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.base != nil {
		return f.base.Size()
	}
	return int64(len(f.content)), nil
}

// Sync implements vfs.File.
func (f *draftFile) Sync() error { return nil }

// Close implements vfs.File. The file of the disk below stays open until the draft
// is closed: it may be opened again.
func (f *draftFile) Close() error { return nil }
