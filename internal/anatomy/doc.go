// Package anatomy tells what each byte of the in-memory store's files is, for
// programs that damage them on purpose.
//
// A [Part] is consecutive bytes of a file that are one thing, such as the length of
// a log entry. [Parts] divides a whole file into parts. It reads the formats as
// packages internal/wal, inmem and inmem/raftstore describe them, and shares no code with them: what
// they get wrong it does not get wrong in the same way.
//
// Parts is for whole files. Of a damaged one it tells something, which need not be
// right.
package anatomy
