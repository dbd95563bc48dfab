package syscalls

import (
	"fmt"
	"strings"
)

// Calls is a set of classes of system calls.
type Calls uint32

// The classes. Each is made of all calls that do the same to a file.
const (
	WriteAt   Calls = 1 << iota // pwrite64, pwritev, pwritev2
	WriteNext                   // write, writev, copy_file_range, sendfile; not to the standard descriptors
	Resize                      // ftruncate, truncate, fallocate
	Sync                        // fsync, fdatasync, sync_file_range, syncfs
	ReadAt                      // pread64, preadv, preadv2
	ReadNext                    // read, readv; not from the standard descriptors
	Open                        // open, openat, openat2, creat
	Rename                      // rename, renameat, renameat2
	Unlink                      // unlink, unlinkat, rmdir

	endOfCalls
)

// What is usually wanted together.
const (
	Write = WriteAt | WriteNext | Resize
	Read  = ReadAt | ReadNext
	// All is every class.
	All = endOfCalls - 1
)

var callNames = [...]string{"write-at", "write-next", "resize", "sync", "read-at", "read-next", "open", "rename", "unlink"}

// String returns the names of the classes, such as sync|rename.
func (c Calls) String() string {
	var names []string
	for i, name := range callNames {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := c &^ All; rest != 0 || c == 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(rest)))
	}
	return strings.Join(names, "|")
}

// valid returns an error if c is no set of classes, or an empty one.
func (c Calls) valid() error {
	if c == 0 || c&^All != 0 {
		return fmt.Errorf("calls %v: not a set of known classes", c)
	}
	return nil
}
