// Command example numbers the runs of a channel: it inserts the next one and prints the
// latest three. Which backend it keeps them in is decided by TRIHOLD_STORE:
// inmem:data, sqlite:app.db, rqlite:rq?managed=1.
//
// It is the program that the README shows, and one of its tests runs it on each backend.
package main
