// Package metrics shows what a member of a cluster knows to Prometheus.
//
// # Basics
//
// A [Collector] asks for an inmem.ClusterStatus whenever it is scraped, and makes
// samples of it; nothing is counted twice, and nothing between two scrapes. A program
// that has the node in itself registers one; trihold node --metrics serves one. All
// names begin with trihold_. docs/cluster.md says which of them are worth an alarm.
//
// # Caveats
//
// What is unknown, such as the lag of others on a node that does not lead, is left out:
// an alarm on it must ask the leader. A scrape asks the node itself, and fails when it
// does not answer in time.
package metrics
