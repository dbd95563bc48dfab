package fault

import (
	"fmt"
	"os"
	"os/exec"

	"trihold/bench"
	"trihold/bench/fault/syscalls"
)

// A Config says what to break. The zero value of a field means its default.
type Config struct {
	// Node makes a command that runs node.Serve on its standard input and output,
	// after a call of syscalls.Install if there is a link. There is no default.
	Node func(*syscalls.Link) *exec.Cmd
	// Stores are subjects, or backends for all of theirs. Default: a subject for
	// each backend that can be opened, in class disk, and for the faults that need
	// it the one with a replica.
	Stores []string
	Faults []string // default: all
	Extra  []Fault  // known besides those of the Catalogue
	// Migrations moves stores between backends, instead of breaking one.
	Migrations bool
	// Simulated is a store on a simulated disk; nil leaves those cells out.
	Simulated *Simulated
	// Recover makes the node in a directory, which nobody has open, the only member of
	// its cluster, as an operator does when a quorum is lost for good; nil leaves that
	// cell out.
	Recover func(dir string) error
	Quick   bool   // of all, a dozen that tell most, and less traffic
	Rounds  int    // how often each is run, with another seed; default 1
	Seed    uint64 // default 1
	// Replay is the ID of a cell that is run alone, instead of all this.
	Replay  string
	Dir     string // where the directories are made; default that of temporary files
	Out     string // where what is left of bad cells is kept; default Dir
	Keep    bool   // keep the directories of all cells
	Command string // what the user typed, for the result
	// Progress is told how far it is. It is called by one goroutine at a time.
	Progress func(bench.Progress)
}

// complete fills in the defaults and checks the configuration.
func (c *Config) complete() error {
	if c.Rounds == 0 {
		c.Rounds = 1
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if c.Out == "" {
		c.Out = c.Dir
	}
	if c.Progress == nil {
		c.Progress = func(bench.Progress) {}
	}
	switch {
	case c.Rounds < 1:
		return invalid("--rounds is %d; it must be at least 1", c.Rounds)
	case c.Migrations && len(c.Faults) > 0:
		return invalid("what is broken while stores are moved is one fault: leave out --faults")
	case c.Replay != "" && (len(c.Stores) > 0 || len(c.Faults) > 0):
		return invalid("a replay names its fault and its store; leave out --faults and --stores")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &bench.Invalid{Why: fmt.Sprintf(format, args...)}
}
