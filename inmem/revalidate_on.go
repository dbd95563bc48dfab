//go:build revalidate

package inmem

// revalidate is described where it is off.
const revalidate = true
