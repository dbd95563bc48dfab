package load

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// becomePunctual makes the calling goroutine wake up when it wants to, until the
// returned function is called. It keeps its thread, which becomes a real-time
// thread if this process may have one, and the runtime gets one more processor,
// so that it does not wait for the store's goroutines. It sleeps nearly all the
// time, so it takes little from the store.
func becomePunctual() (undo func()) {
	processors := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(processors + 1)
	runtime.LockOSThread()
	ordinary := func() {
		runtime.UnlockOSThread()
		runtime.GOMAXPROCS(processors)
	}
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return ordinary
	}
	realTime := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	if err := unix.SchedSetAttr(0, &realTime, 0); err != nil {
		return ordinary // without the right it is late more often, which the send lag shows
	}
	return func() {
		if err := unix.SchedSetAttr(0, before, 0); err != nil {
			runtime.GOMAXPROCS(processors)
			return // the thread stays locked, and so ends with its goroutine
		}
		ordinary()
	}
}

// pause sleeps in the kernel. time.Sleep is up to a millisecond late on an idle
// Linux machine, because the runtime waits in epoll with that resolution.
func pause(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // an early return is seen by the caller
}
