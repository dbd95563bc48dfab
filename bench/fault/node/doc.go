// Package node runs one store in a process of its own, so that a kill -9 is a real
// kill -9, and drives it from outside.
//
// # The nouns
//
// A [Node] is such a process as its starter sees it. [Serve] is the other side. The
// two speak newline-delimited JSON over the standard input and output of the
// process: numbered requests, many at a time, and their answers in any order.
//
// # Caveats
//
// An operation whose answer did not come is unknown, never failed: it may have been
// done. A node does not outlive its starter.
package node
