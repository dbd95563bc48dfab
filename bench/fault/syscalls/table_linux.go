//go:build amd64 || arm64

package syscalls

import "golang.org/x/sys/unix"

// A syscallShape is one system call and where in its arguments the file is.
type syscallShape struct {
	nr    int
	class Calls
	// fd is the argument that is the descriptor of the file, if paths is empty.
	fd int
	// paths are the files by name: the argument that is the directory's descriptor,
	// or workDir, and the one that points to the path.
	paths []pathArgs
	// stream says that the call is made for sockets and pipes too. Those on the
	// standard descriptors do not reach the supervisor.
	stream bool
}

type pathArgs struct{ dir, path int }

// workDir instead of an argument: relative paths start at the working directory.
const workDir = -1

var (
	firstIsPath  = []pathArgs{{workDir, 0}}
	secondIsPath = []pathArgs{{0, 1}}
	renamePaths  = []pathArgs{{0, 1}, {2, 3}}
)

// shapes returns the calls that are intercepted for some classes.
func shapes(classes Calls) []syscallShape {
	all := []syscallShape{
		{nr: unix.SYS_PWRITE64, class: WriteAt},
		{nr: unix.SYS_PWRITEV, class: WriteAt},
		{nr: unix.SYS_PWRITEV2, class: WriteAt},
		{nr: unix.SYS_WRITE, class: WriteNext, stream: true},
		{nr: unix.SYS_WRITEV, class: WriteNext, stream: true},
		{nr: unix.SYS_COPY_FILE_RANGE, class: WriteNext, fd: 2},
		{nr: unix.SYS_SENDFILE, class: WriteNext},
		{nr: unix.SYS_FTRUNCATE, class: Resize},
		{nr: unix.SYS_TRUNCATE, class: Resize, paths: firstIsPath},
		{nr: unix.SYS_FALLOCATE, class: Resize},
		{nr: unix.SYS_FSYNC, class: Sync},
		{nr: unix.SYS_FDATASYNC, class: Sync},
		{nr: unix.SYS_SYNC_FILE_RANGE, class: Sync},
		{nr: unix.SYS_SYNCFS, class: Sync},
		{nr: unix.SYS_PREAD64, class: ReadAt},
		{nr: unix.SYS_PREADV, class: ReadAt},
		{nr: unix.SYS_PREADV2, class: ReadAt},
		{nr: unix.SYS_READ, class: ReadNext, stream: true},
		{nr: unix.SYS_READV, class: ReadNext, stream: true},
		{nr: unix.SYS_OPENAT, class: Open, paths: secondIsPath},
		{nr: unix.SYS_OPENAT2, class: Open, paths: secondIsPath},
		{nr: unix.SYS_RENAMEAT, class: Rename, paths: renamePaths},
		{nr: unix.SYS_RENAMEAT2, class: Rename, paths: renamePaths},
		{nr: unix.SYS_UNLINKAT, class: Unlink, paths: secondIsPath},
	}
	var chosen []syscallShape
	for _, s := range append(all, oldShapes...) {
		if classes&s.class != 0 {
			chosen = append(chosen, s)
		}
	}
	return chosen
}
