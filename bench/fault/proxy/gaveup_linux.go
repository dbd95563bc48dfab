package proxy

import (
	"net"

	"golang.org/x/sys/unix"
)

// tcpEstablished is the state of a connection whose other side is still there, in
// Linux's net/tcp_states.h.
const tcpEstablished = 1

// gaveUp reports whether the other side of a connection has closed it, without
// reading what it may have sent before.
func gaveUp(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err != nil || info.State != tcpEstablished
	})
	return err != nil || gone
}
