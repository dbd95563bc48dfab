//go:build !linux

package proxy

import "net"

// gaveUp would report whether the other side has closed a connection. Where that
// cannot be asked without reading, it counts as still there.
func gaveUp(*net.TCPConn) bool { return false }
