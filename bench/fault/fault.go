package fault

import (
	"context"
	"slices"
	"strings"
	"time"

	"trihold/bench/fault/history"
	"trihold/bench/fault/simulate"
)

// A Fault is one way to break a store.
type Fault struct {
	Name    string
	About   string // what is done, and what must hold
	Numbers string // in the catalogue of docs/faults.md
	Quick   bool   // among those of a quick run
	Needs   Needs
	Nodes   Nodes // how many nodes the subject must have
	// Fits says why the fault means nothing for a subject; empty if it fits. Nil is
	// a fault that fits every subject.
	Fits func(Subject) string
	// MayRefuse: after this fault a store may refuse to open, with ErrCorrupt.
	MayRefuse bool
	// Foreign says, for a backend, what its library lets expect where that is less
	// than the contract: then less is a finding, and not a failure.
	Foreign map[string]string
	// GapsAllowed: after this fault revisions may be left out, as after a restore.
	GapsAllowed bool
	// Limit is how long the script may take; the default is 30 s.
	Limit time.Duration
	// Steady is how soon after it reads and writes must be answered again; the
	// default is 20 s.
	Steady time.Duration
	// Setup is what the store is filled with; the default is traffic.DefaultSetup.
	Setup history.Setup
	// Final reads everything in the end; nil is reading the store, and once more after
	// a kill.
	Final func(ctx context.Context, c *Cell) ([]*history.Final, error)
	// Break is the script. It injects, tells c how often the fault has struck, and
	// heals: when it returns nil, the store is open and nothing is broken any more.
	Break func(ctx context.Context, c *Cell) error

	campaign *simulate.Campaign // in the place of Break
}

// Needs are the tools that a fault needs; a cell has only what its fault asks for,
// because each costs something.
type Needs struct {
	Calls bool // Cell.Calls: system calls that fail or wait
	Link  bool // Cell.Link: a connection that can be broken
	Disk  bool // Cell.Disk: a file system that can lose power
	Names bool // and then loses names that were not synced in their directory
}

// Nodes says what subjects a fault is for.
type Nodes int

// The kinds of subjects.
const (
	OneNode Nodes = iota
	SeveralNodes
	AnyNodes
)

// unfit says why a fault means nothing for a subject; empty if it does.
func (n Nodes) unfit(s Subject) string {
	switch {
	case n == OneNode && s.Nodes > 1:
		return "it is for a store of one node"
	case n == SeveralNodes && s.Nodes <= 1:
		return "it is for a store of several nodes"
	}
	return ""
}

const (
	defaultLimit  = 30 * time.Second
	defaultSteady = 20 * time.Second
)

// Catalogue returns all faults, in the order in which they are run.
func Catalogue() []Fault {
	return slices.Concat(processFaults(), callFaults(), linkFaults(), diskFaults(), damageFaults(), replicaFaults(), clientFaults(), clusterFaults(), simulatedFaults())
}

// faults returns the faults of names; none are all, or the quick ones.
func (c Config) faults(names []string) ([]Fault, error) {
	all := slices.Concat(Catalogue(), c.Extra, []Fault{migrationFault()})
	if len(names) == 0 && c.Migrations {
		return []Fault{migrationFault()}, nil
	}
	if len(names) == 0 {
		all = all[:len(all)-1] // nothing is moved unless that is asked for
		if c.Quick {
			all = slices.DeleteFunc(all, func(f Fault) bool { return !f.Quick })
		}
		return all, nil
	}
	var found []Fault
	for _, name := range names {
		i := slices.IndexFunc(all, func(f Fault) bool { return f.Name == name })
		if i < 0 {
			var known []string
			for _, f := range all {
				known = append(known, f.Name)
			}
			return nil, invalid("no fault is called %q; there are: %s", name, strings.Join(known, ", "))
		}
		found = append(found, all[i])
	}
	return found, nil
}
