//go:build !revalidate

package inmem

// revalidate makes every replica validate again what its leader has validated: the
// log then holds the checks of every commit. That costs time and space, proves that
// replicas decide alike, and is for tests only. All nodes of a cluster must agree.
const revalidate = false
