//go:build amd64 || arm64

package syscalls

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Link is what a process and its supervisor find each other by. It is for one
// process.
type Link struct {
	here *net.UnixConn
	end  *os.File
}

// NewLink makes a link. It is closed by Supervise, or by Close if it does not come
// to that.
func NewLink() (*Link, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make link to a supervised process: %w", err)
	}
	here, end := os.NewFile(uintptr(fds[0]), "supervisor"), os.NewFile(uintptr(fds[1]), "supervised")
	defer here.Close() // FileConn makes its own
	conn, err := net.FileConn(here)
	if err != nil {
		end.Close()
		return nil, fmt.Errorf("make link to a supervised process: %w", err)
	}
	return &Link{here: conn.(*net.UnixConn), end: end}, nil
}

// End is the end for the process, which is started with it as an extra file.
func (l *Link) End() *os.File { return l.end }

// Close closes both ends here. A process that has not got a supervisor by then
// learns that it will have none.
func (l *Link) Close() error { return errors.Join(l.here.Close(), l.end.Close()) }

// accept waits for the process to install its filter.
func (l *Link) accept(ctx context.Context) (listener, Calls, error) {
	_ = l.end.Close() // the process has its own by now, and its death is to be seen
	stop := context.AfterFunc(ctx, func() { _ = l.here.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	hello, rights := make([]byte, 4), make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := l.here.ReadMsgUnix(hello, rights)
	switch {
	case ctx.Err() != nil:
		return 0, 0, context.Cause(ctx)
	case errors.Is(err, io.EOF) || err == nil && n == 0:
		return 0, 0, errors.New("the process ended, or gave up, before it was under supervision")
	case err != nil:
		return 0, 0, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	if err != nil {
		return 0, 0, fmt.Errorf("understand what the process sent: %w", err)
	}
	if len(messages) != 1 || n != len(hello) {
		return 0, 0, fmt.Errorf("the process sent %d bytes with %d messages", n, len(messages))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, 0, fmt.Errorf("understand what the process sent: %w", err)
	}
	if len(fds) != 1 {
		return 0, 0, fmt.Errorf("the process sent %d descriptors", len(fds))
	}
	return listener(fds[0]), Calls(binary.LittleEndian.Uint32(hello)), nil
}

// ready tells the process that its calls are answered.
func (l *Link) ready() error {
	_, err := l.here.Write([]byte{1})
	return err
}
