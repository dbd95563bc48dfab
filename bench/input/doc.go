// Package input reads the records that a user wants to benchmark with.
//
// # The nouns
//
// A [File] is a file of newline-delimited JSON objects, one [Record] a line. Each
// record has a key, which no other has, and may have a group; both are fields of
// the object. An [Error] names the line that cannot be used.
//
// # Caveats
//
// The records themselves stay in the file: a Record says where. The file must
// not change while it is used.
package input
