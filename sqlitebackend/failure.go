package sqlitebackend

import (
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"trihold/repo/driver"
)

// failed returns an error of SQLite as one of the contract.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	remedy, kind := classify(err)
	cause := oneLine(err)
	if remedy != "" {
		cause = fmt.Errorf("%w; %s", cause, remedy)
	}
	return driver.Failed(op, kind, cause)
}

// classify returns the kind of a failure and what to do about it.
func classify(err error) (remedy string, kind error) {
	switch code(err) & 0xFF {
	case sqlite3.SQLITE_FULL:
		return "the disk is full: free some space, no restart is needed", driver.ErrUnavailable
	case sqlite3.SQLITE_BUSY:
		return "another program has locked the file: end it, or let it finish", driver.ErrUnavailable
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "restore the database file from a backup or a replica", driver.ErrCorrupt
	case sqlite3.SQLITE_READONLY:
		return "make the file and its directory writable", driver.ErrReadOnly
	case sqlite3.SQLITE_TOOBIG:
		return "", driver.ErrTooLarge
	}
	return "", driver.ErrUnavailable
}

// code returns the extended result code of an error of SQLite, or zero.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// oneLine returns err with its message on one line.
func oneLine(err error) error {
	if msg := err.Error(); strings.ContainsAny(msg, "\r\n") {
		return errors.New(strings.Join(strings.Fields(msg), " "))
	}
	return err
}
