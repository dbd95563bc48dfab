package syscalls

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Rule says what happens to certain calls on certain files. Of several rules
// that match a call the first that is due decides; all of them count it.
//
// A rule without Delay, Errno, Kill and Part only counts.
type Rule struct {
	Calls Calls
	// Glob is a pattern as in path/filepath for the name of the file, or, if it
	// contains a slash, for its path below Under. Empty matches every name. A
	// rename matches by its old or by its new name.
	Glob string
	// Under is the directory that the file lies in, at any depth. Empty means any,
	// except /dev, /proc and /sys.
	Under string

	// After is how many matching calls go by before the rule is due, and Count how
	// many get its effect from then on; 0 means no end.
	After int
	Count int

	// Delay is how long the call waits first. Clearing the rule ends the wait.
	Delay time.Duration
	// Errno is what the call returns instead of being made.
	Errno syscall.Errno
	// Kill ends the calling process by SIGKILL instead: a crash just before the
	// call. It is that process alone, not the ones that it has started. With Count 1
	// one process dies; without, all that come to such a call.
	Kill bool
	// Part is how many bytes of a write are written all the same: before the error
	// is returned, before the process is killed, or, with neither, as a short write
	// whose result says so. The rule is then for calls of pwrite64 and write with
	// more bytes than that, and no others.
	Part int
}

// Hits is what has become of a rule.
type Hits struct {
	Matched int `json:"matched"` // calls that the rule was for, in its time or not
	Fired   int `json:"fired"`   // calls that got its effect
}

// Armed is a rule that is, or was, in force.
type Armed struct {
	rule    Rule
	cleared chan struct{} // closed by Clear

	mu      sync.Mutex
	off     bool
	matched int // guarded by mu
	fired   int // guarded by mu
}

// arm checks a rule, and makes its paths comparable with those of the kernel.
func arm(r Rule, installed Calls) (*Armed, error) {
	if err := r.Calls.valid(); err != nil {
		return nil, fmt.Errorf("arm rule: %w", err)
	}
	if missing := r.Calls &^ installed; missing != 0 {
		return nil, fmt.Errorf("arm rule for %v: %v was not given to Install", r.Calls, missing)
	}
	if _, err := filepath.Match(r.Glob, ""); err != nil {
		return nil, fmt.Errorf("arm rule for %v of %q: %w", r.Calls, r.Glob, err)
	}
	if r.Under == "" && strings.Contains(r.Glob, "/") {
		return nil, fmt.Errorf("arm rule for %v of %q: a path without a directory that it is below", r.Calls, r.Glob)
	}
	if r.Kill && r.Errno != 0 {
		return nil, fmt.Errorf("arm rule for %v: both Kill and Errno", r.Calls)
	}
	if r.Part != 0 && r.Calls&^(WriteAt|WriteNext) != 0 {
		return nil, fmt.Errorf("arm rule for %v: a part is of a write", r.Calls)
	}
	if r.After < 0 || r.Count < 0 || r.Delay < 0 || r.Part < 0 {
		return nil, fmt.Errorf("arm rule for %v: a negative number", r.Calls)
	}
	if r.Under != "" {
		abs, err := filepath.Abs(r.Under)
		if err == nil {
			abs, err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return nil, fmt.Errorf("arm rule for %v: %w", r.Calls, err)
		}
		r.Under = abs
	}
	return &Armed{rule: r, cleared: make(chan struct{})}, nil
}

// Clear takes the rule out of force: the fault is healed. Calls that wait because
// of it go on at once. The counts stay.
func (a *Armed) Clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.off {
		a.off = true
		close(a.cleared)
	}
}

// Hits returns what has become of the rule so far. If nothing has fired, the fault
// was not observed, and a run proves nothing about it.
func (a *Armed) Hits() Hits {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Hits{Matched: a.matched, Fired: a.fired}
}

// effective says whether the rule does more than to count.
func (r *Rule) effective() bool { return r.Errno != 0 || r.Delay > 0 || r.Kill || r.Part > 0 }

// special are the directories whose files are none.
var special = []string{"/dev", "/proc", "/sys"}

// matches says whether the rule is for a file.
func (r *Rule) matches(path string) bool {
	if r.Under == "" {
		for _, dir := range special {
			if _, in := below(dir, path); in {
				return false
			}
		}
	} else if _, in := below(r.Under, path); !in {
		return false
	}
	if r.Glob == "" {
		return true
	}
	name := filepath.Base(path)
	if strings.Contains(r.Glob, "/") {
		name, _ = below(r.Under, path)
	}
	ok, err := filepath.Match(r.Glob, name)
	return ok && err == nil // the pattern was checked
}

// below returns the path relative to a directory. The directory itself is below
// itself: its own name syncs what is in it.
func below(dir, path string) (string, bool) {
	if path == dir {
		return ".", true
	}
	if dir != "/" {
		dir += "/"
	}
	return strings.CutPrefix(path, dir)
}

// take counts a call that the rule is for. due is whether the rule wants to decide
// it, which happens unless one before it has decided. ok is false if the rule is
// not in force any more.
func (a *Armed) take(decided bool) (due, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.off {
		return false, false
	}
	a.matched++
	due = !decided && a.rule.effective() && a.matched > a.rule.After && (a.rule.Count == 0 || a.fired < a.rule.Count)
	if due {
		a.fired++
	}
	return due, true
}

// untake undoes take for a call that ended before it was answered: its process was
// killed, or a signal made it start again.
func (a *Armed) untake(fired bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.matched--
	if fired {
		a.fired--
	}
}

// errGone is a call that nobody waits for any more.
var errGone = errors.New("the calling process is gone")

func (a *Armed) isCleared() bool {
	select {
	case <-a.cleared:
		return true
	default:
		return false
	}
}
