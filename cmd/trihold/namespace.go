package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// namespaceVariable is set for a program that already runs in a namespace.
const namespaceVariable = "TRIHOLD_NAMESPACE"

// A childExit is the exit code of this program's second self, which has said
// everything there is to say.
type childExit int

func (e childExit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// inNamespace runs this program again in a user and mount namespace, where it may
// mount file systems without being root. It reports false if that is not possible,
// or not needed, and nothing was run.
func inNamespace(ctx context.Context, c console) (ran bool, err error) {
	if os.Geteuid() == 0 || os.Getenv(namespaceVariable) != "" || unix.Access("/dev/fuse", unix.R_OK|unix.W_OK) != nil {
		return false, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return false, nil
	}
	cmd := exec.CommandContext(ctx, exe, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), namespaceVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.in, c.out, c.err
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	// A terminal's interrupt reaches both. This is for others, which only we get.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	runtime.LockOSThread() // Pdeathsig is sent when this thread ends
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return false, nil // namespaces are not allowed here: go on without
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return true, childExit(exit.ExitCode())
	case err != nil:
		return true, fmt.Errorf("run in a namespace: %w", err)
	}
	return true, nil
}
