// Package mutants shows that the tests of the in-memory store can tell a right
// store from a wrong one: it holds small faults, such as people make, and a runner
// that builds the store with each of them and expects the tests to fail.
//
// # The nouns
//
// A [Mutant] is a fault: edits to the source text, and why each matters. Its
// victim is the test program in the folder of that name, built with the mutant in
// place of the real source by go test -overlay; for mutants of what only a cluster
// does, it is the one in the folder cluster, or the tests of package inmem. Production
// code knows nothing of all this.
//
// # Running
//
//	go test -tags mutants -timeout 25m ./bench/fault/mutants -v
//
// builds and runs a victim for each mutant, and prints which test has caught it.
// Without the tag only a quick test runs: that every edit still finds its text,
// exactly once, so that a change of the store does not quietly disarm a mutant.
//
// # Caveats
//
// A mutant that only a race brings out may need more than one attempt; the runner
// makes three. What is caught by a timeout counts as caught, and is named so.
package mutants
