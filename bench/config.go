package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trihold/bench/subject"
	"trihold/bench/workload"
	"trihold/repo"
	"trihold/repo/driver"
)

// A Config says what to compare. The zero value of a field means its default.
type Config struct {
	// Subject starts a subject process. There is no default.
	Subject subject.Command
	// Stores are built-in names (see BuiltIn), names of trihold.yaml, or URLs; a
	// URL has {dir} where the fresh directory of each run goes. Default: all
	// built-in names that can be opened; one that cannot is left out and named in
	// the result.
	Stores []string
	// Class is the durability class of all subjects. Default: disk.
	Class string
	// Workloads are names. Default: ycsb-a to ycsb-f, or records with an Input.
	Workloads []string
	// Input are a user's records, for the workload records.
	Input    *subject.Input
	Rows     int64         // to load; default 100,000, or all of an Input
	Clients  int           // of a closed loop; default 16
	Duration time.Duration // of each loop; default 10s
	Rounds   int           // default 5
	Rate     float64       // of the open loops, a second; default half of the slowest subject's throughput
	Seed     uint64        // default 1
	Dir      string        // where the directories are made; default that of temporary files
	Keep     bool          // leave the directories
	Command  string        // what the user typed, for the result
	// Progress is told how far it is. It is called by one goroutine at a time.
	Progress func(Progress)
}

// A Progress says how far a Run is.
type Progress struct {
	Done, Total int           // steps of about equal length
	What        string        // what is being done
	Rows        int64         // loaded so far, while rows are loaded
	Finished    string        // the outcome of a step that has just ended
	Left        time.Duration // an estimate; 0 if there is none yet
}

// Quick is the configuration of a comparison that takes a few minutes.
func Quick() Config {
	return Config{Rows: 10_000, Duration: time.Second, Rounds: 3}
}

// An Invalid is a Config that cannot be run. It is repo.ErrInvalid.
type Invalid struct{ Why string }

func (e *Invalid) Error() string { return e.Why }
func (e *Invalid) Unwrap() error { return repo.ErrInvalid }

func invalid(format string, args ...any) error { return &Invalid{fmt.Sprintf(format, args...)} }

// complete fills in the defaults and checks the configuration.
func (c *Config) complete() error {
	if c.Class == "" {
		c.Class = "disk"
	}
	if c.Clients == 0 {
		c.Clients = 16
	}
	if c.Duration == 0 {
		c.Duration = 10 * time.Second
	}
	if c.Rounds == 0 {
		c.Rounds = 5
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	switch {
	case c.Input != nil && len(c.Workloads) > 0:
		return invalid("an input has its own workload, %s: leave out --workloads", workload.Records.Name)
	case c.Input != nil:
		c.Workloads = []string{workload.Records.Name}
	case slices.Contains(c.Workloads, workload.Records.Name):
		return invalid("workload %s needs an input: name a file with --input, and its fields with --key and --group", workload.Records.Name)
	case len(c.Workloads) == 0:
		c.Workloads = workload.Defaults()
	}
	if c.Rows == 0 && c.Input == nil {
		c.Rows = 100_000
	}
	if !slices.Contains(classes, driver.Class(c.Class)) {
		return invalid("no durability class is called %q; there are: %s", c.Class, joinClasses())
	}
	switch {
	case c.Rows < 0:
		return invalid("--rows is %d; it must be at least 1", c.Rows)
	case c.Clients < 1 || c.Clients > 10_000:
		return invalid("--clients is %d; it must be between 1 and 10,000", c.Clients)
	case c.Duration < 100*time.Millisecond:
		return invalid("--duration is %v; it must be at least 100ms", c.Duration)
	case c.Rounds < 1:
		return invalid("--rounds is %d; it must be at least 1", c.Rounds)
	case c.Rate < 0 || c.Rate > maxRate:
		return invalid("--rate is %g; it must be between 1 and %d", c.Rate, maxRate)
	}
	for i, name := range c.Workloads {
		if _, err := workload.Lookup(name); err != nil {
			return invalid("%v", err)
		}
		if slices.Contains(c.Workloads[:i], name) {
			return invalid("workload %s is named twice", name)
		}
	}
	return nil
}

var classes = []driver.Class{driver.Memory, driver.Process, driver.Disk, driver.Quorum, driver.Replica}

func joinClasses() string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// maxRate is the highest rate of an open loop, so that the generator leaves the
// machine to the store.
const maxRate = 10_000

// builtIn are the stores that need no configuration.
var builtIn = []store{
	{name: "inmem", url: "inmem:{dir}/data", inMemory: "inmem:"},
	{name: "sqlite", url: "sqlite:{dir}/app.db"},
	{name: "rqlite", url: "rqlite:{dir}/rqlite?managed=1"},
}

// BuiltIn returns the names of the stores that need no configuration.
func BuiltIn() []string {
	names := make([]string, len(builtIn))
	for i, s := range builtIn {
		names[i] = s.name
	}
	return names
}

// A store is what a subject is made of.
type store struct {
	name     string
	url      string // with {dir}
	inMemory string // for class memory, which has no directory, if it is another
}

// dirMark stands in a URL for the fresh directory of a run.
const dirMark = "{dir}"

// findStores turns names into stores.
func findStores(names []string) ([]store, error) {
	var out []store
	for _, name := range names {
		s, err := findStore(name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o store) bool { return o.name == s.name }) {
			return nil, invalid("store %s is named twice", s.name)
		}
		out = append(out, s)
	}
	return out, nil
}

func findStore(name string) (store, error) {
	for _, s := range builtIn {
		if s.name == name {
			return s, nil
		}
	}
	url, err := repo.Resolve(name)
	if err != nil {
		return store{}, invalid("%v; built in are: %s", err, strings.Join(BuiltIn(), ", "))
	}
	if !strings.Contains(url, dirMark) {
		return store{}, invalid("store %s has no %s in its URL: each run needs a fresh directory, as in sqlite:%s/app.db", name, dirMark, dirMark)
	}
	if name != url {
		return store{name: name, url: url}, nil
	}
	// A URL is its own name, without the class and the directory.
	return store{name: strings.NewReplacer(dirMark+"/", "", dirMark, "").Replace(url), url: url}, nil
}

// at returns the store's URL for a directory and a durability class.
func (s store) at(dir, class string) (string, error) {
	url := s.url
	if class == string(driver.Memory) && s.inMemory != "" {
		url = s.inMemory
	}
	url = strings.ReplaceAll(url, dirMark, dir)
	path, query, has := strings.Cut(url, "?")
	for part := range strings.SplitSeq(query, "&") {
		if v, is := strings.CutPrefix(part, "class="); is && v != class {
			return "", invalid("store %s says class %s, but the comparison is of class %s: change one of them", s.name, v, class)
		} else if is {
			return url, nil
		}
	}
	if has {
		return path + "?" + query + "&class=" + class, nil
	}
	return url + "?class=" + class, nil
}
