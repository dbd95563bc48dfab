// Package bench compares stores: the same workloads on each of them, side by
// side, in one run on one machine.
//
// # The nouns
//
// A subject is a store in one configuration and durability class, such as
// sqlite/disk. A run is one workload on one subject in one round, in a fresh
// process and a fresh directory. A heat is the runs of all subjects for one
// workload in one round. [Config] says what to do and [Run] does it; package
// result holds what comes out.
//
// # Basics
//
// In a heat each subject is loaded and driven by a closed loop, which gives its
// throughput. Half of the lowest throughput is then the common rate of the open
// loop, in which latencies are compared. After that the whole store is compared
// with what was written; then all processes of the subject are killed, and a new
// one opens what is left, reads, and compares once more. The order of the
// subjects is shuffled anew in each heat, by the seed.
//
// # Caveats
//
// Generator and store share the machine, and a store that runs inside of its
// program shares the process too. Only subjects of one durability class are
// compared. docs/benchmarks.md has the method in full.
package bench
