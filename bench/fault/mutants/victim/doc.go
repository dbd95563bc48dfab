// Package victim is the tests that a mutant of the in-memory store must fail: the
// campaigns of bench/fault/simulate and the conformance suite, both on a simulated
// disk. It is built once for each mutant, with the build tag mutants.
package victim
