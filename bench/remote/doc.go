// Package remote carries errors between the processes of a measurement, so that
// what was one of repo's errors still is, for errors.Is, on the other side.
//
// # Basics
//
// A [Failure] is an error as JSON: its text, and the sentinels of repo that were in it.
//
// # Caveats
//
// Other types and values in the chain of an error are lost; their text stays.
package remote
