// Package archive keeps the content of a store in one file, from which a store of
// any backend can be made again.
//
// [Export] writes the state of some or all tables at one revision. [Verify] reads an
// archive from end to end and says what it holds; every bit that differs, everything
// that is missing or in another place is found. [Import] fills an empty store: its
// rows keep their revisions, and its history goes on after that of the archive. A
// store that is being filled is closed by a fence until its digest is that of the
// archive, so that a half of one is never taken for the whole.
//
// The format is described in format.go.
package archive
