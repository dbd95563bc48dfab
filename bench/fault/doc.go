// Package fault breaks stores on purpose: the same seeded faults on each of them,
// under the same checked traffic, with a verdict for each.
//
// # The nouns
//
// A [Subject] is a store in one configuration and durability class. A [Fault] is
// one way to break it, written as a script over a [Cell]: one fault on one subject,
// with fresh directories, processes, traffic and a clock. A control is a cell that
// breaks a promise on purpose and must be found out. [Config] says what to do and
// [Run] does it.
//
// Most subjects are one process. Of others a cell has several members, each a
// [Member] with a directory of its own, and a mesh of proxies between them.
//
// # The life of a cell
//
// Start the store in processes of its own and fill it. Start the traffic, and go on
// only when it flows. Run the script, which injects the fault, says how often it has
// struck, and heals it. Wait until reads and writes are answered again. Stop the
// traffic, read everything, kill all processes, open the store again and read
// everything once more. Check all that was recorded against all that was read.
// Clean up. A watchdog ends a cell that hangs.
//
// A subject of [Pairs] is moved to another backend meanwhile, and its cells kill what
// takes part in that; package steps stops it exactly where they want to.
//
// A fault that never struck fails its cell. A cell that cannot run here says why and
// never counts as passed.
//
// # Verdicts
//
// In our own code, anything less than the contract is a failure. Where a library
// decides, and it is known to promise less, it is a finding.
//
// # Caveats
//
// A seed fixes what is asked and what is broken, not how goroutines and processes
// interleave. docs/faults.md has the catalogue, and shows how to add a fault.
package fault
