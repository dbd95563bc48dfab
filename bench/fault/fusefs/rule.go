package fusefs

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An Op is a kind of operation.
type Op string

// The operations that rules know. An open that creates the file is OpCreate.
const (
	OpOpen     Op = "open"
	OpCreate   Op = "create" // of files, directories and links
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpTruncate Op = "truncate"
	OpSync     Op = "sync"    // fsync and fdatasync of a file
	OpSyncDir  Op = "syncdir" // fsync of a directory
	OpRename   Op = "rename"  // of what the glob matches, before or after
	OpRemove   Op = "remove"  // unlink and rmdir
)

var allOps = []Op{OpOpen, OpCreate, OpRead, OpWrite, OpTruncate, OpSync, OpSyncDir, OpRename, OpRemove}

// A Rule fails or delays operations.
type Rule struct {
	Op Op
	// Glob is a pattern of package path. Without a slash it is for the last
	// element of the name, otherwise for the whole of it, from the mountpoint on.
	// Empty matches everything.
	Glob string
	// After is how many matching operations are left alone first, and Count how
	// many are then hit; 0 is all of them.
	After, Count int64
	// Errno is what the operation fails with, without having had an effect; with 0
	// it goes on after the delay.
	Errno syscall.Errno
	// Delay is how long the operation waits. It ends early when the rule is
	// removed, and when the process that waits was killed.
	Delay time.Duration
}

func (r *Rule) validate() error {
	if !slices.Contains(allOps, r.Op) {
		return fmt.Errorf("no operation is named %q", r.Op)
	}
	if r.Errno == 0 && r.Delay <= 0 {
		return errors.New("a rule needs an error or a delay")
	}
	if _, err := path.Match(r.Glob, ""); err != nil {
		return fmt.Errorf("pattern %q: %w", r.Glob, err)
	}
	return nil
}

func (r *Rule) matches(op Op, name string) bool {
	if op != r.Op {
		return false
	}
	if !strings.Contains(r.Glob, "/") {
		name = path.Base(name)
	}
	ok, _ := path.Match(r.Glob, name) // the pattern is valid
	return ok || r.Glob == ""
}

// An Injection is a rule in force.
type Injection struct {
	rule    Rule
	rules   *rules
	seen    int64 // guarded by rules.mu
	fired   atomic.Int64
	removed chan struct{} // closed by Remove
	once    sync.Once
}

// Fired returns how many operations the rule has hit.
func (i *Injection) Fired() int64 { return i.fired.Load() }

// Remove takes the rule out of force, and lets go on what it delays.
func (i *Injection) Remove() {
	i.once.Do(func() {
		i.rules.mu.Lock()
		defer i.rules.mu.Unlock()
		i.rules.list = slices.DeleteFunc(i.rules.list, func(o *Injection) bool { return o == i })
		i.rules.count.Store(int64(len(i.rules.list)))
		close(i.removed)
	})
}

// rules are all rules in force.
type rules struct {
	count atomic.Int64 // len(list), so that having none costs nothing

	mu   sync.Mutex // guards what follows
	list []*Injection
}

func (rs *rules) add(r Rule) (*Injection, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("add rule: %w", err)
	}
	i := &Injection{rule: r, rules: rs, removed: make(chan struct{})}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.list = append(rs.list, i)
	rs.count.Store(int64(len(rs.list)))
	return i, nil
}

// hits returns the rules that hit an operation on something with these names.
func (rs *rules) hits(op Op, names ...string) (hit []*Injection) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, i := range rs.list {
		if !slices.ContainsFunc(names, func(name string) bool { return i.rule.matches(op, name) }) {
			continue
		}
		i.seen++
		if i.seen <= i.rule.After || i.rule.Count > 0 && i.seen > i.rule.After+i.rule.Count {
			continue
		}
		i.fired.Add(1)
		hit = append(hit, i)
	}
	return hit
}
