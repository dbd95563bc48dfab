// Package syscalls makes system calls of a running program fail, hang or be its
// last ones. The program is not changed and need not be ours, and no privilege is
// needed: the kernel asks another process about each call, by seccomp user
// notification.
//
// # The nouns
//
// [Calls] are classes of system calls on files, such as Sync. A [Rule] says which
// calls of which files get what. A [Supervisor] answers for one process and all
// that it starts; rules are armed and cleared while they run, and an [Armed] rule
// counts what it did. A [Link] is what the two sides find each other by.
//
// # Basics
//
// The process to be supervised is started with one end of a link, and calls
// Install before anything else. To supervise another program, it then executes
// that in its own place:
//
//	err := syscalls.Install(syscalls.Sync|syscalls.Rename, 3) // ExtraFiles[0]
//	err = syscall.Exec(path, args, env)
//
// The process that starts it supervises:
//
//	link, err := syscalls.NewLink()
//	cmd.ExtraFiles = []*os.File{link.End()}
//	err = cmd.Start()
//	s, err := syscalls.Supervise(ctx, link)
//	broken, err := s.Arm(syscalls.Rule{Calls: syscalls.Sync, Under: dir, Errno: syscall.EIO, Count: 1})
//	...
//	observed := broken.Hits().Fired > 0
//	broken.Clear()
//	...                 // end the process and wait for it
//	err = s.Close(ctx)
//
// Rules that must hold from the first call on are given to Supervise. A rule that
// has no effect counts, so that a sweep knows how many calls there are to crash at.
// A crash in the middle of a write is a rule with Kill and Part.
//
// # Cost
//
// A call of a class that was not given to Install costs next to nothing; others
// wait for the supervisor. What BenchmarkCall says of a pread of one byte, on two
// cores with Linux 6.18:
//
//	not intercepted                      0.7 µs
//	intercepted, no rule                   7 µs (before Linux 6.6: 12 µs)
//	intercepted, a rule for other files   14 µs (before Linux 6.6: 17 µs)
//
// The calls of all threads are answered one after the other.
//
// The kernel cannot tell a socket from a file here: ReadNext and WriteNext take
// every message on a network connection too, as Go uses read and write for those.
// Where files are written at offsets, and they mostly are, WriteAt is enough.
//
// # Caveats
//
// Linux 5.9 or later, on amd64 and arm64; [Available] says what is missing.
//
// The filter cannot be taken off. Once nobody supervises, the kernel answers
// ENOSYS to every intercepted call, which looks like a fault. So Close waits until
// the processes are gone, and until then calls go on as if there were no filter. If
// the supervising process dies, the supervised ones must die too: start them with
// Pdeathsig.
//
// A supervised process gets no new privileges: setuid programs, such as
// fusermount3, run as the caller. It cannot be supervised twice, and the processes
// that it starts cannot either.
//
// What a program reads and writes through mapped memory or io_uring is not seen.
// Paths are resolved as the supervisor sees them: not for a program that has
// changed its root or its mounts. A path in memory that another thread overwrites
// during the call may be judged by its old value: no protection, but fit for tests.
//
// Before Linux 5.19 a signal can interrupt a waiting call; it is then made again,
// waits again in full, and is one more match.
package syscalls
