// Package proc looks at a process and its descendants as one, and ends them as
// one.
//
// A [Tree] is a process and everything that it, and they, have started. Its
// memory is its PSS, the proportional set size: a page that n processes share
// counts 1/n for each, so that the sum over a tree counts nothing twice. RSS
// would.
//
// It reads /proc, so it works on Linux.
package proc
