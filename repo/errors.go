package repo

import "trihold/repo/driver"

// The sentinels of the contract; see the driver package for when each is met.
// They are tested with errors.Is.
var (
	ErrNotFound    = driver.ErrNotFound
	ErrExists      = driver.ErrExists
	ErrInvalid     = driver.ErrInvalid
	ErrTooLarge    = driver.ErrTooLarge
	ErrConflict    = driver.ErrConflict
	ErrUncertain   = driver.ErrUncertain
	ErrReadOnly    = driver.ErrReadOnly
	ErrMoved       = driver.ErrMoved
	ErrUnavailable = driver.ErrUnavailable
	ErrCompacted   = driver.ErrCompacted
	ErrCorrupt     = driver.ErrCorrupt
	ErrClosed      = driver.ErrClosed
)

// Error carries the operation, table, index and key of a failure; errors.As
// finds it.
type Error = driver.Error

// Rev is a revision of a store: the number of a commit.
type Rev = driver.Rev

// Status describes a store at one moment.
type Status = driver.Status
