//go:build amd64 || arm64

package syscalls

import (
	"math"

	"golang.org/x/sys/unix"
)

// Where a filter finds what in struct seccomp_data. Both architectures are little
// endian: the low half of an argument comes first.
const (
	dataNumber   = 0
	dataArch     = 4
	dataFirstArg = 16
)

// lastStandard is the highest standard descriptor: standard error.
const lastStandard = 2

// filter returns the program by which the kernel sorts calls: those of the given
// shapes ask the supervisor, all others go on. The calls of another architecture,
// such as those of a 32-bit program, go on.
func filter(chosen []syscallShape) []unix.SockFilter {
	// From the end: where each call jumps to is relative, and there are fewer calls
	// than the 255 instructions that a jump can pass.
	tail := []unix.SockFilter{
		ret(unix.SECCOMP_RET_ALLOW),
		// A stream asks if it is none of the standard ones.
		load(dataFirstArg),
		jump(unix.BPF_JGT, lastStandard, 1, 0),
		ret(unix.SECCOMP_RET_ALLOW),
		ret(unix.SECCOMP_RET_USER_NOTIF),
	}
	const toStream, toAsk = 1, 4 // in tail
	head := []unix.SockFilter{
		load(dataArch),
		jump(unix.BPF_JEQ, auditArch, 0, len(chosen)+1), // to the beginning of tail
		load(dataNumber),
	}
	for i, c := range chosen {
		to := toAsk
		if c.stream {
			to = toStream
		}
		left := len(chosen) - 1 - i
		head = append(head, jump(unix.BPF_JEQ, uint32(c.nr), left+to, 0))
	}
	return append(head, tail...)
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func ret(what uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what}
}

func jump(how uint16, k uint32, ifTrue, ifFalse int) unix.SockFilter {
	if max(ifTrue, ifFalse) > math.MaxUint8 {
		panic("a jump too far") // there are some thirty calls
	}
	return unix.SockFilter{Code: unix.BPF_JMP | how | unix.BPF_K, Jt: uint8(ifTrue), Jf: uint8(ifFalse), K: k}
}
