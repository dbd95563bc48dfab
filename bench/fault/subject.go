package fault

import (
	"slices"
	"strings"
)

// A Subject is a store in one configuration and durability class.
type Subject struct {
	Name    string // backend/class
	Backend string
	Class   string
	URL     string // with {dir} for the cell's directory, or for that of each node
	Nodes   int    // processes that are one store; 0 is one
	// From and To are the backends between which the store is moved; empty if it stays.
	From, To string
	// Linked is the URL under which a program of its own finds the store over the
	// network, with {addr}; empty if there is none between the two.
	Linked string
	// Files are patterns of the store's files below the directory, by kind.
	Files map[FileKind][]string
}

// A FileKind is a kind of file that stores keep.
type FileKind string

// The kinds of files.
const (
	LogFile      FileKind = "log"
	SnapshotFile FileKind = "snapshot"
	StateFile    FileKind = "state" // term and vote of a Raft node
	DatabaseFile FileKind = "database"
	WALFile      FileKind = "wal"
	ReplicaFile  FileKind = "replica"
)

// dirMark and addrMark stand in URLs for what a cell has of its own.
const (
	dirMark  = "{dir}"
	addrMark = "{addr}"
)

// Subjects returns what can be broken. The first four are broken by default.
func Subjects() []Subject {
	sqlite := map[FileKind][]string{
		DatabaseFile: {"app.db"}, WALFile: {"app.db-wal"}, ReplicaFile: {"replica/*", "replica/*/*", "replica/*/*/*", "replica/*/*/*/*"},
	}
	return []Subject{
		{Name: "inmem/disk", Backend: "inmem", Class: "disk", URL: "inmem:{dir}/data?class=disk&snapshot_bytes=65536",
			Files: map[FileKind][]string{LogFile: {"data/log/*", "data/*.log"}, SnapshotFile: {"data/snapshots/*", "data/*.snap*"}}},
		{Name: "sqlite/disk", Backend: "sqlite", Class: "disk", URL: "sqlite:{dir}/app.db?class=disk", Files: sqlite},
		{Name: "rqlite/disk", Backend: "rqlite", Class: "disk", URL: "rqlite:{dir}/rqlite?managed=1&class=disk", Linked: "rqlite://{addr}",
			Files: map[FileKind][]string{LogFile: {"rqlite/node1/raft.db"}, DatabaseFile: {"rqlite/node1/db.sqlite"}}},
		{Name: "inmem/quorum", Backend: "inmem", Class: "quorum", Nodes: 3,
			URL:   "inmem:{dir}?class=quorum&snapshot_bytes=65536&election=300ms&stable=500ms&stall=2s",
			Files: map[FileKind][]string{LogFile: {"raft/log/*"}, SnapshotFile: {"raft/snapshots/*"}, StateFile: {"raft/state"}}},
		{Name: "sqlite/replica", Backend: "sqlite", Class: "replica", URL: "sqlite:{dir}/app.db?class=replica&replica=file://{dir}/replica", Files: sqlite},
		{Name: "inmem/process", Backend: "inmem", Class: "process", URL: "inmem:{dir}/data?class=process&snapshot_bytes=65536"},
		{Name: "sqlite/process", Backend: "sqlite", Class: "process", URL: "sqlite:{dir}/app.db?class=process", Files: sqlite},
	}
}

// findSubjects returns the subjects of names, each of a subject or a backend.
func findSubjects(names []string) ([]Subject, error) {
	all := slices.Concat(Subjects(), Pairs())
	var found []Subject
	for _, name := range names {
		n := len(found)
		for _, s := range all {
			if (s.Name == name || s.Backend == name) && !slices.ContainsFunc(found, func(f Subject) bool { return f.Name == s.Name }) {
				found = append(found, s)
			}
		}
		if len(found) == n {
			var known []string
			for _, s := range all {
				known = append(known, s.Name)
			}
			return nil, invalid("no subject is called %q, or it is named twice; there are: %s, or a backend for all of its own", name, strings.Join(known, ", "))
		}
	}
	return found, nil
}

func (s Subject) at(dir string) string { return strings.ReplaceAll(s.URL, dirMark, dir) }
