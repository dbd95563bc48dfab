package workload

import (
	"fmt"
	"slices"
	"strings"

	"trihold/bench/input"
)

// A Kind is a kind of operation.
type Kind uint8

const (
	Read Kind = iota
	Update
	Insert
	Scan // a walk in the order of the primary key
	List // one page of an index
	RMW  // read and modify in one transaction
	kinds
)

func (k Kind) String() string {
	return [kinds]string{"read", "update", "insert", "scan", "list", "rmw"}[k]
}

// A Share is the part that one kind of operation has in a mix.
type Share struct {
	Kind    Kind
	Percent int
}

// Keys says how the key of an operation is chosen.
type Keys uint8

const (
	Zipfian Keys = iota // some keys are hot; which ones is spread by a hash
	Latest              // the keys inserted last are hot
	Uniform
)

func (k Keys) String() string { return [...]string{"zipfian", "latest", "uniform"}[k] }

// A Workload is a mix of operations on one kind of rows.
type Workload struct {
	Name    string
	Mix     []Share // percents add up to 100
	Keys    Keys
	MaxScan int // Scan reads 1 to MaxScan rows, uniformly
	open    func(Workload, Params) (Session, error)
}

// Params are what a run decides about a session.
type Params struct {
	Rows int64       // rows to load
	Seed uint64      // of the rows' content
	File *input.File // for the workload records
}

// PageSize is the number of rows that List reads.
const PageSize = 20

// Workloads returns the workloads that can be asked for by name.
func Workloads() []Workload { return slices.Concat(ycsb, []Workload{items}) }

// Defaults are the names of the workloads that a run has if nothing is asked.
func Defaults() []string {
	names := make([]string, len(ycsb))
	for i, w := range ycsb {
		names[i] = w.Name
	}
	return names
}

// Lookup returns the workload with the given name. Records is found too.
func Lookup(name string) (Workload, error) {
	var names []string
	for _, w := range append(Workloads(), Records) {
		if w.Name == name {
			return w, nil
		}
		names = append(names, w.Name)
	}
	return Workload{}, fmt.Errorf("no workload is called %q; there are: %s", name, strings.Join(names, ", "))
}

// Open returns a session of the workload.
func (w Workload) Open(p Params) (Session, error) { return w.open(w, p) }

// About describes the workload in one line.
func (w Workload) About() string {
	parts := make([]string, 0, len(w.Mix)+1)
	for _, s := range w.Mix {
		parts = append(parts, fmt.Sprintf("%d%% %s", s.Percent, s.Kind))
	}
	if w.MaxScan > 0 {
		parts = append(parts, fmt.Sprintf("scans of 1 to %d rows", w.MaxScan))
	}
	return strings.Join(append(parts, w.Keys.String()+" keys"), ", ")
}
