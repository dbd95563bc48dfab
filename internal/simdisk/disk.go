package simdisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// ErrPower is what everything fails with after a crash and before PowerCut, and
// what was open before a PowerCut fails with after it.
var ErrPower = errors.New("simulated disk: no power")

// A Config describes a disk. The zero value is an honest disk without limit.
type Config struct {
	// Seed decides what is left to chance, other than in calls that take a
	// source of randomness.
	Seed uint64
	// Capacity is the bytes that all files together may have; 0 is no limit.
	Capacity int64
	// LieAboutSync makes Sync and SyncDir succeed without doing anything.
	LieAboutSync bool
	// Versions is how many older versions of each file are remembered, for
	// Damage. They are chosen at random among all that were synced.
	Versions int
	// Slow, if set, is called before a file is synced, and may take its time.
	Slow func(name string)
}

// A Disk is a simulated disk. It is safe for concurrent use.
type Disk struct {
	c Config

	mu       sync.Mutex // guards everything below, and all nodes
	rng      *rand.Rand
	root     *node
	power    int           // how often the power was cut, or everybody killed
	dead     chan struct{} // closed at a crash
	capacity int64
	used     int64
	rules    []*rule
	counts   [numOps]int64
	locks    map[string]bool
}

var _ vfs.FS = (*Disk)(nil)

// New returns an empty disk.
func New(c Config) *Disk {
	return &Disk{
		c:        c,
		rng:      rand.New(rand.NewPCG(c.Seed, 0)),
		root:     newDir(),
		dead:     make(chan struct{}),
		capacity: c.Capacity,
		locks:    map[string]bool{},
	}
}

// Dead returns a channel that is closed when the disk crashes, by a rule or by
// Crash. After a PowerCut there is a new one.
func (d *Disk) Dead() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// Crash makes everything fail until PowerCut.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crash()
}

// crash ends everything. The caller holds mu.
func (d *Disk) crash() {
	if !d.crashed() {
		close(d.dead)
	}
}

func (d *Disk) crashed() bool {
	select {
	case <-d.dead:
		return true
	default:
		return false
	}
}

// PowerCut cuts the power and turns it on again: each unsynced sector, and each
// unsynced change of a directory, is kept with probability keep. Rules and locks
// are gone.
func (d *Disk) PowerCut(rng *rand.Rand, keep float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.root.settle(rng, keep)
	d.power++
	d.rules, d.locks = nil, map[string]bool{}
	d.dead = make(chan struct{})
	d.used = d.root.size()
}

// Kill ends all programs: what was open fails from then on, rules and locks are
// gone, and nothing is lost. What was not synced is no more durable than before.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.power++
	d.rules, d.locks = nil, map[string]bool{}
	d.dead = make(chan struct{})
}

// Clone returns a disk that holds durably what programs see of this one, as a
// copy of all files made in one moment would. It has no rules and no locks.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := New(d.c)
	c.capacity, c.used = d.capacity, d.used
	c.root = d.root.clone()
	return c
}

// SetCapacity changes the size of the disk; 0 is no limit.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// Used returns the bytes that all files have together.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// Files returns the paths of all files, sorted.
func (d *Disk) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.root.files(string(filepath.Separator))
}

// find returns a node by its path.
func (d *Disk) find(op, name string) (*node, error) {
	n := d.root
	for _, part := range split(name) {
		if n.entries == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
		}
		if n = n.entries[part]; n == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
	}
	return n, nil
}

// findDir returns the directory that holds a name, and the name in it.
func (d *Disk) findDir(op, name string) (*node, string, error) {
	name = filepath.Clean("/" + name)
	n, err := d.find(op, filepath.Dir(name))
	if err != nil {
		return nil, "", err
	}
	if n.entries == nil {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
	}
	return n, filepath.Base(name), nil
}

// split returns the elements of a path; relative ones begin at the root too.
func split(name string) []string {
	return strings.FieldsFunc(filepath.Clean("/"+name), func(r rune) bool { return r == filepath.Separator })
}

// Open implements vfs.FS.
func (d *Disk) Open(name string) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.judge(Open, name).err; err != nil {
		return nil, err
	}
	n, err := d.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.entries != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	}
	return &file{disk: d, node: n, name: name, power: d.power}, nil
}

// Create implements vfs.FS.
func (d *Disk) Create(name string) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.judge(Create, name)
	if v.err != nil && !v.happens {
		return nil, v.err
	}
	dir, base, err := d.findDir("create", name)
	if err != nil {
		return nil, err
	}
	if dir.entries[base] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	n := &node{}
	dir.change(dirChange{to: base, node: n})
	if v.err != nil {
		return nil, v.err
	}
	return &file{disk: d, node: n, name: name, power: d.power}, nil
}

// Rename implements vfs.FS.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.judge(Rename, from)
	if v.err != nil && !v.happens {
		return v.err
	}
	dir, oldName, err := d.findDir("rename", from)
	if err != nil {
		return err
	}
	toDir, newName, err := d.findDir("rename", to)
	if err != nil {
		return err
	}
	n := dir.entries[oldName]
	switch {
	case n == nil:
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	case dir != toDir:
		return &fs.PathError{Op: "rename", Path: to, Err: syscall.EXDEV}
	}
	if over := dir.entries[newName]; over != nil && over != n {
		d.drop(over)
	}
	dir.change(dirChange{from: oldName, to: newName, node: n})
	return v.err
}

// Remove implements vfs.FS.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.judge(Remove, name)
	if v.err != nil && !v.happens {
		return v.err
	}
	dir, base, err := d.findDir("remove", name)
	if err != nil {
		return err
	}
	n := dir.entries[base]
	switch {
	case n == nil:
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	case len(n.entries) > 0:
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	d.drop(n)
	dir.change(dirChange{from: base, node: n})
	return v.err
}

// drop takes note that a node has lost its name.
func (d *Disk) drop(n *node) {
	d.used -= int64(len(n.cur))
	n.dropped = true
}

// MkdirAll implements vfs.FS.
func (d *Disk) MkdirAll(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.judge(Mkdir, dir)
	if v.err != nil && !v.happens {
		return v.err
	}
	n := d.root
	for _, part := range split(dir) {
		next := n.entries[part]
		if next == nil {
			next = newDir()
			n.change(dirChange{to: part, node: next})
		}
		if next.entries == nil {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		n = next
	}
	return v.err
}

// List implements vfs.FS.
func (d *Disk) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.judge(List, dir).err; err != nil {
		return nil, err
	}
	n, err := d.find("list", dir)
	if err != nil {
		return nil, err
	}
	if n.entries == nil {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: syscall.ENOTDIR}
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

// SyncDir implements vfs.FS.
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.judge(SyncDir, dir).err; err != nil {
		return err
	}
	n, err := d.find("sync", dir)
	if err != nil {
		return err
	}
	if n.entries == nil {
		return &fs.PathError{Op: "sync", Path: dir, Err: syscall.ENOTDIR}
	}
	if !d.c.LieAboutSync {
		n.durableEntries, n.changes = maps.Clone(n.entries), nil
	}
	return nil
}

// Lock implements vfs.FS. A lock is no file here.
func (d *Disk) Lock(name, what string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.crashed():
		return nil, ErrPower
	case d.locks[name]:
		return nil, fmt.Errorf("%s is in use; %w", what, driver.ErrUnavailable)
	}
	d.locks[name] = true
	return &lock{d, name, d.power}, nil
}

type lock struct {
	disk  *Disk
	name  string
	power int
}

func (l *lock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	if l.power == l.disk.power {
		delete(l.disk.locks, l.name)
	}
	return nil
}

// Usage implements vfs.FS.
func (d *Disk) Usage(dir string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("usage", dir)
	if err != nil {
		return 0, err
	}
	return n.size(), nil
}

// noLimit is the free space of a disk without a capacity.
const noLimit = 1 << 50

// Free implements vfs.FS.
func (d *Disk) Free(dir string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.find("free", dir); err != nil {
		return 0, err
	}
	if d.capacity == 0 {
		return noLimit, nil
	}
	return max(0, d.capacity-d.used), nil
}
