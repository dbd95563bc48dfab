package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A Child is a process of this program that was started to be told what to do on
// its standard input, and to answer on its standard output. It does not outlive
// this process, and is in a process group of its own, so that an interrupt from
// the terminal reaches only its parent.
type Child struct {
	In io.WriteCloser

	cmd   *exec.Cmd
	words lastWords
	ended chan struct{} // closed when the process has ended
	err   error         // how it ended; read after ended
}

// StartChild starts a process; the caller has set path, arguments, environment
// and extra files. A goroutine calls read with its standard output, and read
// returns when that ends. The caller ends the process with Stop or Kill.
func StartChild(cmd *exec.Cmd, read func(out io.Reader)) (*Child, error) {
	c := &Child{cmd: cmd, ended: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = &c.words
	cmd.WaitDelay = time.Second // for a descendant that holds on to its standard error
	var err error
	if c.In, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	started := make(chan error)
	go func() {
		// Pdeathsig is sent when the starting thread ends, so that thread is kept.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		read(out)
		c.err = cmd.Wait()
		close(c.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

// Tree returns the process and its descendants.
func (c *Child) Tree() Tree { return Tree{Root: c.cmd.Process.Pid} }

// Ended is closed when the process has ended.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// LastWords waits for the end of the process, and says how it ended and what it
// wrote last on its standard error.
func (c *Child) LastWords() string {
	<-c.ended
	how := "it ended"
	if c.err != nil {
		how = c.err.Error()
	}
	if words := c.words.line(); words != "" {
		how += ": " + words
	}
	return how
}

// stopWait is how long a process that was asked to end may take: a store may
// have a snapshot to write, or processes to stop.
const stopWait = 10 * time.Second

// Stop asks the process to end by closing its standard input, and kills it if it
// does not.
func (c *Child) Stop() error {
	pids, listErr := c.Tree().PIDs()
	err := c.In.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	select {
	case <-c.ended:
		return errors.Join(err, listErr, Wait(pids, stopWait))
	case <-time.After(stopWait):
		return errors.Join(err, listErr, c.Kill())
	}
}

// Kill ends the process and all its descendants at once, as kill -9 does, and
// waits until they are gone.
func (c *Child) Kill() error {
	err := c.Tree().Kill()
	<-c.ended
	return err
}

// lastWords keeps the end of what a process wrote on its standard error.
type lastWords struct {
	text []byte
}

const maxWords = 4096

// Write is called by one goroutine of os/exec, and line after that has ended.
func (w *lastWords) Write(b []byte) (int, error) {
	w.text = append(w.text, b...)
	if n := len(w.text) - maxWords; n > 0 {
		w.text = append(w.text[:0], w.text[n:]...)
	}
	return len(b), nil
}

// line returns the line that explains most: that of a panic, with the place where it
// was, or else the last.
func (w *lastWords) line() string {
	panicked, last := "", ""
	ours := false // the line before named a function of this module
	for line := range strings.Lines(string(w.text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			continue
		case panicked == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")):
			panicked = line
		case panicked != "" && ours:
			return panicked + " at " + line
		}
		ours = strings.HasPrefix(line, "trihold/")
		last = line
	}
	if panicked != "" {
		return panicked
	}
	return last
}
