package simdisk

import (
	"fmt"
	"io/fs"
	"strings"
)

// An Op is a kind of operation.
type Op int

const (
	Write Op = iota
	Sync
	Create
	Rename
	Remove
	SyncDir
	Truncate
	Mkdir
	Read
	Open
	List
	numOps
	// Any, in a Rule, stands for every operation that changes something: those
	// before Read.
	Any Op = -1
)

func (o Op) String() string {
	if o == Any {
		return "operation"
	}
	names := [numOps]string{"write", "sync", "create", "rename", "remove", "syncdir", "truncate", "mkdir", "read", "open", "list"}
	if o < 0 || o >= numOps {
		return fmt.Sprintf("Op(%d)", int(o))
	}
	return names[o]
}

// A Rule makes operations fail.
type Rule struct {
	Op Op
	// Name, if not empty, limits the rule to paths that contain it.
	Name string
	// At is which operation fails, counted from 1 and from the call of Inject; 0
	// is the same as 1.
	At int
	// Times is how many fail in a row: 0 is one, and -1 all from there on.
	Times int
	// Err is what they fail with: nothing happens then, except that what a
	// failed Sync covered is in doubt for good.
	Err error
	// Short makes a write fail with Err after writing a part.
	Short bool
	// Crash makes the operation happen, unsynced, and then the disk fail
	// altogether. A sync has not happened.
	Crash bool
}

// A rule is a Rule at work.
type rule struct {
	Rule
	seen     int
	observed int
}

// An Injected is a rule that was given to a disk.
type Injected struct {
	disk *Disk
	rule *rule
}

// Inject adds a rule. It holds until the power is cut, or Heal.
func (d *Disk) Inject(r Rule) Injected {
	d.mu.Lock()
	defer d.mu.Unlock()
	added := &rule{Rule: r}
	d.rules = append(d.rules, added)
	return Injected{d, added}
}

// Observed returns how often the rule has made something fail. A fault that was
// not observed has proved nothing.
func (i Injected) Observed() int {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	return i.rule.observed
}

// Heal removes all rules.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rules = nil
}

// Counts returns how many operations of a kind there have been; of Any, how many
// that change something.
func (d *Disk) Counts(op Op) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if op != Any {
		return d.counts[op]
	}
	var n int64
	for op := range Read {
		n += d.counts[op]
	}
	return n
}

// A verdict says how an operation ends.
type verdict struct {
	err     error
	happens bool // all the same
	short   bool // in part
}

// judge counts an operation and returns how it ends. The caller holds mu.
func (d *Disk) judge(op Op, name string) verdict {
	if d.crashed() {
		return verdict{err: &fs.PathError{Op: op.String(), Path: name, Err: ErrPower}}
	}
	d.counts[op]++
	var v verdict
	for _, r := range d.rules {
		if !r.matches(op, name) {
			continue
		}
		r.observed++
		if r.Crash {
			d.crash()
			return verdict{err: &fs.PathError{Op: op.String(), Path: name, Err: ErrPower}, happens: true}
		}
		v = verdict{err: &fs.PathError{Op: op.String(), Path: name, Err: r.Err}, short: r.Short && op == Write}
	}
	return v
}

// matches counts an operation that the rule is about and reports whether it is
// to fail.
func (r *rule) matches(op Op, name string) bool {
	if r.Op != op && (r.Op != Any || op >= Read) || !strings.Contains(name, r.Name) {
		return false
	}
	r.seen++
	first := max(r.At, 1)
	return r.seen >= first && (r.Times < 0 || r.seen < first+max(r.Times, 1))
}
