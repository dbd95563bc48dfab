// Package subject runs one store under load in a process of its own, so that its
// memory can be measured, and so that kill -9 is a real kill -9.
//
// # The nouns
//
// A [Process] is a subject process as the one that started it sees it: a method
// for each thing it can be told to do. [Serve] is the other side. The two speak
// newline-delimited JSON over the standard input and output of the process; what
// it writes on its standard error is quoted when it dies.
//
// # Basics
//
// The subject process holds the store, the load generator and the history of
// writes: a store that runs inside of its program is called without a detour, as
// it would be. A store that has processes of its own starts them as children of
// the subject process.
//
// # Caveats
//
// A subject process does not outlive the process that started it: it is sent
// SIGKILL by the kernel, and it ends itself when its standard input does. It is
// in a process group of its own, so that an interrupt from the terminal reaches
// only the starting process, which then ends it.
package subject
