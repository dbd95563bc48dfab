package driver

import (
	"fmt"
	"slices"
	"strings"
)

// A Class is what an acknowledged commit survives. It is part of every
// configuration, and only equal classes are compared.
type Class string

const (
	Memory  Class = "memory"  // nothing: the data is gone with the process
	Process Class = "process" // kill -9 of the process
	Disk    Class = "disk"    // loss of power: fsynced before the acknowledgement
	Quorum  Class = "quorum"  // loss of a minority of nodes: fsynced on a majority
	Replica Class = "replica" // loss of the machine: fsynced here and stored by the replica
)

// ParseClass returns the class with the given name; empty means Disk. A class
// that is not among those the backend can give is an error that lists them.
func ParseClass(name string, backend string, can ...Class) (Class, error) {
	if name == "" {
		name = string(Disk)
	}
	if slices.Contains(can, Class(name)) {
		return Class(name), nil
	}
	names := make([]string, len(can))
	for i, c := range can {
		names[i] = string(c)
	}
	return "", fmt.Errorf("%s cannot give durability class %q; it can give: %s: %w",
		backend, name, strings.Join(names, ", "), ErrInvalid)
}
