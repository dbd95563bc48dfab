// Package cluster is the test that a mutant of the cluster must fail: cells of
// bench/fault on three real processes. It is built once for each mutant, with the build
// tag mutants.
package cluster
