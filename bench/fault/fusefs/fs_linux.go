package fusefs

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An FS is a mounted file system. Its methods may be called concurrently.
type FS struct {
	back, mountpoint string
	keepNames, lie   bool
	log              *slog.Logger
	patience         time.Duration // how long PowerLoss waits for killed processes to be gone

	rules    rules
	used     atomic.Int64 // bytes of all files
	capacity atomic.Int64
	ops      map[Op]*atomic.Int64 // not changed after Mount
	injected atomic.Int64
	noSpace  atomic.Int64
	lies     atomic.Int64

	life   sync.Mutex // held while mounting and unmounting
	served *service   // guarded by life; nil when unmounted

	mu        sync.Mutex // guards what follows; taken before inode.mu
	root      *inode
	graves    int // descriptor of the graveyard
	lastGrave uint64
	lastID    uint64
	byID      map[uint64]*inode
	byIno     map[uint64]*inode
	changes   []*change // not yet durable, oldest first
	lists     map[uint64][]os.DirEntry
	lastList  uint64
}

// Mount mounts a file system. The caller unmounts it.
func Mount(c Config) (*FS, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	f := &FS{keepNames: c.KeepNames, lie: c.LieAboutSync, log: c.Logger, patience: endPatience, ops: map[Op]*atomic.Int64{}}
	f.capacity.Store(c.Capacity)
	for _, op := range allOps {
		f.ops[op] = new(atomic.Int64)
	}
	var err error
	if f.back, f.mountpoint, err = directories(c.Back, c.Mountpoint); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	f.life.Lock()
	defer f.life.Unlock()
	if err := f.start(); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	return f, nil
}

// directories makes both directories, after removing a mount that a dead process
// left on the second.
func directories(back, mountpoint string) (string, string, error) {
	if back == "" || mountpoint == "" {
		return "", "", errors.New("a backing directory and a mountpoint are needed")
	}
	if _, err := Clean(mountpoint); err != nil {
		return "", "", err
	}
	var err error
	for _, dir := range []*string{&back, &mountpoint} {
		if err := os.MkdirAll(*dir, 0o755); err != nil {
			return "", "", err
		}
		if *dir, err = filepath.Abs(*dir); err != nil {
			return "", "", err
		}
		if *dir, err = filepath.EvalSymlinks(*dir); err != nil {
			return "", "", err
		}
	}
	if back == mountpoint || within(back, mountpoint) || within(mountpoint, back) {
		return "", "", fmt.Errorf("%s and %s lie inside of each other", back, mountpoint)
	}
	return back, mountpoint, nil
}

// Dir returns the mountpoint.
func (f *FS) Dir() string { return f.mountpoint }

// Inject puts a rule in force.
func (f *FS) Inject(r Rule) (*Injection, error) { return f.rules.add(r) }

// SetCapacity says how many bytes the files may have in total; 0 is no limit. What
// exceeds it already stays.
func (f *FS) SetCapacity(bytes int64) { f.capacity.Store(bytes) }

// Used returns how many bytes the files have in total, holes included.
func (f *FS) Used() int64 { return f.used.Load() }

// Counts returns what was asked so far.
func (f *FS) Counts() Counts {
	c := Counts{Ops: map[Op]int64{}, Injected: f.injected.Load(), NoSpace: f.noSpace.Load(), Lies: f.lies.Load()}
	for op, n := range f.ops {
		c.Ops[op] = n.Load()
	}
	return c
}

// PowerLoss takes everything back to what was synced, but for a seeded part of the
// rest: keep of it on average, between 0 and 1. Every process that used the file
// system must have been killed before; it waits some time for the last of them to
// be gone. Afterwards the file system is mounted again, and all that it holds is
// durable.
func (f *FS) PowerLoss(r *rand.Rand, keep float64) (Loss, error) {
	f.life.Lock()
	defer f.life.Unlock()
	if f.served == nil {
		return Loss{}, errors.New("lose power: not mounted")
	}
	if err := f.served.end(f.mountpoint, f.patience, false); err != nil {
		return Loss{}, fmt.Errorf("lose power: %w", err)
	}
	f.served = nil
	loss, err := f.lose(r, min(max(keep, 0), 1))
	if err = errors.Join(err, f.close()); err != nil {
		return loss, fmt.Errorf("lose power: %w", err)
	}
	if err := f.start(); err != nil {
		return loss, fmt.Errorf("lose power: mount again: %w", err)
	}
	return loss, nil
}

// Unmount ends the file system. What was not synced is kept, as by an orderly end
// of the machine. Processes that still use the file system get errors from now on.
// It may be called more than once.
func (f *FS) Unmount() error {
	f.life.Lock()
	defer f.life.Unlock()
	if f.served == nil {
		return nil
	}
	if err := f.served.end(f.mountpoint, unmountPatience, true); err != nil {
		return fmt.Errorf("unmount: %w", err)
	}
	f.served = nil
	if err := f.close(); err != nil {
		return fmt.Errorf("unmount: %w", err)
	}
	return nil
}

// start opens the backing directory and serves it. life is held.
func (f *FS) start() error {
	if err := f.open(); err != nil {
		return err
	}
	served, err := serve(f)
	if err != nil {
		return errors.Join(err, f.close())
	}
	f.served = served
	return nil
}

// open opens the backing directory. What is there is durable.
func (f *FS) open() (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	yard := filepath.Join(f.back, graveyard)
	if err := os.RemoveAll(yard); err != nil {
		return fmt.Errorf("empty the graveyard: %w", err)
	}
	if err := os.Mkdir(yard, 0o700); err != nil {
		return fmt.Errorf("make the graveyard: %w", err)
	}
	used, err := usedBytes(f.back)
	if err != nil {
		return fmt.Errorf("look at backing directory: %w", err)
	}
	f.used.Store(used)
	if f.graves, err = openat(unix.AT_FDCWD, yard, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return fmt.Errorf("open the graveyard: %w", err)
	}
	if f.root, err = openInode(unix.AT_FDCWD, f.back); err != nil {
		return errors.Join(fmt.Errorf("open backing directory: %w", err), unix.Close(f.graves))
	}
	f.changes, f.lists = nil, map[uint64][]os.DirEntry{}
	f.lastID = 1 // the root's
	f.root.id = f.lastID
	f.byID, f.byIno = map[uint64]*inode{f.root.id: f.root}, map[uint64]*inode{f.root.ino: f.root}
	return nil
}

// close closes every file of the backing directory, and removes for good what was
// removed.
func (f *FS) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, in := range f.byID {
		errs = append(errs, in.file.Close())
	}
	errs = append(errs, unix.Close(f.graves), os.RemoveAll(filepath.Join(f.back, graveyard)))
	f.byID, f.byIno, f.changes = nil, nil, nil
	return errors.Join(errs...)
}

// lose takes back what was not synced.
func (f *FS) lose(r *rand.Rand, keep float64) (loss Loss, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []uint64
	for id := range f.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids) // the seed decides, not the order of the map
	for _, id := range ids {
		in := f.byID[id]
		if !in.isRegular() || in.unsynced.clean() {
			continue
		}
		lost, kept, err := in.unsynced.lose(in.file, r, keep)
		if err != nil {
			return loss, fmt.Errorf("%s: %w", in.path(), err)
		}
		loss.Files++
		loss.SectorsLost += lost
		loss.SectorsKept += kept
	}
	loss.NamesLost, loss.NamesKept, err = f.loseNames(r, keep)
	return loss, err
}

// usedBytes adds up the sizes of files.
func usedBytes(dir string) (sum int64, err error) {
	seen := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && !seen[st.Ino] {
			seen[st.Ino] = true
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}

// reserve takes space for n more bytes.
func (f *FS) reserve(n int64) error {
	if n <= 0 {
		return nil
	}
	used, capacity := f.used.Add(n), f.capacity.Load()
	if capacity > 0 && used > capacity {
		f.used.Add(-n)
		f.noSpace.Add(1)
		return syscall.ENOSPC
	}
	return nil
}
