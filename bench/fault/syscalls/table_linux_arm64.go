package syscalls

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// oldShapes are calls that newer architectures have no more.
var oldShapes []syscallShape
