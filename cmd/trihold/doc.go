// Command trihold measures, compares, archives and verifies stores behind one
// repository interface.
//
// Each verb has a file of its own; main only wires them. trihold help lists the
// verbs and the exit codes.
package main
