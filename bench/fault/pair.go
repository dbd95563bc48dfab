package fault

import (
	"fmt"
	"strings"
)

// liveBackend is the backend of stores that can be moved.
const liveBackend = "live"

// socketName is the name of the socket, in a cell's directory, on which a program is
// asked to move its store.
const socketName = "s"

// Pairs returns the stores that are moved: from each backend to each other one.
func Pairs() []Subject {
	backends := []string{"inmem", "sqlite", "rqlite"}
	var out []Subject
	for _, from := range backends {
		for _, to := range backends {
			if from == to {
				continue
			}
			source := placeURL(from, "source")
			sign := "?"
			if strings.Contains(source, "?") {
				sign = "&"
			}
			out = append(out, Subject{
				Name: from + "-to-" + to, Backend: liveBackend, Class: "disk", From: from, To: to,
				URL: liveBackend + ":" + source + sign + "admin=" + dirMark + "/" + socketName,
			})
		}
	}
	return out
}

// placeURL returns the URL of a store of a backend at a place in a cell's directory.
// The order of the parameters is that in which a live store names it.
func placeURL(backend, place string) string {
	switch backend {
	case "inmem":
		return fmt.Sprintf("stepped:inmem:%s/%s?class=disk&snapshot_bytes=65536", dirMark, place)
	case "sqlite":
		return fmt.Sprintf("stepped:sqlite:%s/%s.db?class=disk", dirMark, place)
	}
	return fmt.Sprintf("stepped:rqlite:%s/%s?class=disk&managed=1", dirMark, place)
}
