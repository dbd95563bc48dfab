// Package operator asks the nodes of a cluster what an operator asks them: who leads,
// who is a member, and to change that.
//
// A [Command] goes to the socket in a node's directory, a [Status] comes back. The
// package knows of a backend only what is said on that socket, of which it reads what
// the fault suite needs.
//
// A node that is stopped does not answer, and one whose disk hangs may not: every
// question needs a context that ends.
package operator
