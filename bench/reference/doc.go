// Command reference measures what the in-memory cluster is compared with: the bare
// hashicorp/raft, etcd, and the log that one would take if this project had none of
// its own. It is a module of its own, so that nobody who uses the store has to
// download etcd.
//
//	reference raft -nodes 3 -clients 256   Apply with an empty state machine
//	reference etcd -clients 64             put on three members
//	reference damage -cases 400            what raft-wal makes of damaged files
//
// # The nouns
//
// A cluster is a reference that is loaded: all its nodes are in this process, they
// talk over TCP on the loopback interface, and they make everything durable. A round
// is one measurement of it. A damage is what one case does to one file of a log at
// rest, and an outcome is what the log makes of it when it is opened again.
//
// # Basics
//
// The output is a JSON document in each line. For raft and etcd, the first describes
// what is measured and each further one is a round. With -ask, a round is measured
// for each line on the standard input, so that another program can measure something
// else in between.
//
// # Caveats
//
// Several nodes in one process on one disk share what they would have for themselves
// on machines of their own. That is so for what is compared with them as well. The
// state machine of raft is empty, and its callers are in the process of the leader:
// both flatter it.
package main
