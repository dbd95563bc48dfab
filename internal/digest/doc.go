// Package digest identifies the content of tables by sums that do not depend on the
// order of the rows.
//
// The [Sum] of a table is a multiset hash: every row, in canonical form, is hashed
// with SHA-256, and the hashes are added up as numbers of 256 bits, big endian,
// modulo 2^256. This is AdHash of Bellare and Micciancio, "A New Paradigm for
// Collision-free Hashing: Incrementality at Reduced Cost", 1997. Compared with one
// hash over all rows in order it can be kept up to date row by row, be computed over
// parts of a table in any order and at the same time, and be added up from them.
//
// It finds mistakes, however they come about: a row that is lost, doubled, out of
// date or changed in a bit. It is no defence against someone who may choose the
// content of many rows: other rows that add up to the same sum can be constructed
// with less work than breaking SHA-256 takes.
package digest
