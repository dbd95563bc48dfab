package fusefs

import (
	"errors"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// kernelSide answers what the kernel asks on behalf of programs.
type kernelSide struct {
	fuse.RawFileSystem // what is not here is not implemented
	fs                 *FS
}

func (k *kernelSide) String() string { return "trihold" }

// cacheFor is how long the kernel may remember names and attributes: nothing
// changes but through it.
const cacheFor = time.Minute

// status is what the kernel is told.
func (f *FS) status(err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return fuse.Status(errno)
	}
	f.log.Error("fusefs", "error", err)
	return fuse.EIO
}

// node returns what the kernel calls by a number. mu is held.
func (f *FS) node(id uint64) (*inode, error) {
	if in := f.byID[id]; in != nil {
		return in, nil
	}
	return nil, syscall.ESTALE
}

// lookedUp returns what the kernel calls by a number.
func (f *FS) lookedUp(id uint64) (*inode, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.node(id)
}

// check counts an operation on an inode, or on an entry of it, and fails or delays
// it as the rules have it.
func (f *FS) check(op Op, by fuse.Caller, id uint64, entry ...string) error {
	f.ops[op].Add(1)
	if f.rules.count.Load() == 0 {
		return nil
	}
	f.mu.Lock()
	in, err := f.node(id)
	if err != nil {
		f.mu.Unlock()
		return err
	}
	name := path.Join(append([]string{in.path()}, entry...)...)
	f.mu.Unlock()
	return f.obey(f.rules.hits(op, name), by)
}

// obey does what rules say that hit an operation.
func (f *FS) obey(hit []*Injection, by fuse.Caller) error {
	if len(hit) > 0 {
		f.injected.Add(1)
	}
	for _, i := range hit {
		if !i.delay(by.Pid) {
			return syscall.EINTR
		}
		if i.rule.Errno != 0 {
			return i.rule.Errno
		}
	}
	return nil
}

// delay waits as long as the rule says, and reports false if the thread that waits
// was killed: until it has its answer, it cannot die.
func (i *Injection) delay(tid uint32) bool {
	const look = 20 * time.Millisecond
	for end := time.Now().Add(i.rule.Delay); ; {
		left := time.Until(end)
		if left <= 0 {
			return true
		}
		t := time.NewTimer(min(left, look))
		select {
		case <-t.C:
		case <-i.removed:
			t.Stop()
			return true
		}
		if left > look && killed(tid) {
			return false
		}
	}
}

// killed reports whether a thread has been sent SIGKILL. A request that the kernel
// sends on its own, as when it writes back, has thread 0.
func killed(tid uint32) bool {
	if tid == 0 {
		return false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(int(tid)) + "/status")
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(b)) {
		if set, ok := strings.CutPrefix(line, "SigPnd:"); ok {
			pending, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return err == nil && pending&(1<<(unix.SIGKILL-1)) != 0
		}
	}
	return false
}

// attr fills in what the kernel shows of an inode. mu is held.
func (f *FS) attr(in *inode, out *fuse.Attr) error {
	st, err := in.stat()
	if err != nil {
		return err
	}
	out.FromStat(&st)
	out.Nlink -= min(out.Nlink, uint32(in.graves))
	if in.isDir() && in.graves == 0 {
		out.Nlink = max(out.Nlink, 1)
	}
	return nil
}

// tell lets the kernel know an inode. mu is held.
func (f *FS) tell(in *inode, out *fuse.EntryOut) error {
	if err := f.attr(in, &out.Attr); err != nil {
		f.release(in)
		return err
	}
	in.lookups++
	out.NodeId, out.Generation = in.id, 1
	out.SetEntryTimeout(cacheFor)
	out.SetAttrTimeout(cacheFor)
	return nil
}

func (k *kernelSide) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	f := k.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := f.node(h.NodeId)
	if err != nil {
		return f.status(err)
	}
	in, err := f.find(dir, name)
	if errors.Is(err, syscall.ENOENT) {
		out.SetEntryTimeout(cacheFor) // node 0: there is none
		return fuse.OK
	}
	if err == nil {
		err = f.tell(in, out)
	}
	return f.status(err)
}

func (k *kernelSide) Forget(id, n uint64) {
	f := k.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	if in := f.byID[id]; in != nil {
		in.lookups -= min(n, in.lookups)
		f.release(in)
	}
}

func (k *kernelSide) GetAttr(_ <-chan struct{}, h *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	f := k.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	in, err := f.node(h.NodeId)
	if err == nil {
		err = f.attr(in, &out.Attr)
		out.SetTimeout(cacheFor)
	}
	return f.status(err)
}

func (k *kernelSide) SetAttr(_ <-chan struct{}, h *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	f := k.fs
	in, err := f.lookedUp(h.NodeId)
	if err != nil {
		return f.status(err)
	}
	if size, ok := h.GetSize(); ok {
		if err := f.check(OpTruncate, h.Caller, h.NodeId); err != nil {
			return f.status(err)
		}
		if err := f.truncate(in, int64(size)); err != nil {
			return f.status(err)
		}
	}
	if err := setMeta(in, h); err != nil {
		return f.status(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out.SetTimeout(cacheFor)
	return f.status(f.attr(in, &out.Attr))
}

// setMeta sets mode, owner and times.
func setMeta(in *inode, h *fuse.SetAttrIn) error {
	name := procPath(in.fd)
	if mode, ok := h.GetMode(); ok {
		if err := unix.Chmod(name, mode); err != nil {
			return err
		}
	}
	uid, uidOK := h.GetUID()
	gid, gidOK := h.GetGID()
	if uidOK || gidOK { // what is not to be set is -1
		if err := unix.Fchownat(in.fd, "", int(int32(uid)), int(int32(gid)), unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	mtime, mtimeOK := h.GetMTime()
	atime, atimeOK := h.GetATime()
	if !mtimeOK && !atimeOK {
		return nil
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	if atimeOK {
		times[0] = unix.NsecToTimespec(atime.UnixNano())
	}
	if mtimeOK {
		times[1] = unix.NsecToTimespec(mtime.UnixNano())
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, times, 0)
}

func (k *kernelSide) StatFs(_ <-chan struct{}, h *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	f := k.fs
	in, err := f.lookedUp(h.NodeId)
	if err != nil {
		return f.status(err)
	}
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(in.fd, &st); err != nil {
		return f.status(err)
	}
	out.FromStatfsT(&st)
	if capacity := f.capacity.Load(); capacity > 0 && out.Bsize > 0 {
		block := int64(out.Bsize)
		out.Blocks = uint64(capacity / block)
		out.Bfree = uint64(max(0, capacity-f.used.Load()) / block)
		out.Bavail = out.Bfree
	}
	return fuse.OK
}
