package syscalls

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// oldShapes are calls that newer architectures have no more.
var oldShapes = []syscallShape{
	{nr: unix.SYS_OPEN, class: Open, paths: firstIsPath},
	{nr: unix.SYS_CREAT, class: Open, paths: firstIsPath},
	{nr: unix.SYS_RENAME, class: Rename, paths: []pathArgs{{workDir, 0}, {workDir, 1}}},
	{nr: unix.SYS_UNLINK, class: Unlink, paths: firstIsPath},
	{nr: unix.SYS_RMDIR, class: Unlink, paths: firstIsPath},
}
