package remote

import (
	"context"
	"errors"

	"trihold/repo"
)

// kinds are the errors that stay what they are on their way.
var kinds = []error{
	repo.ErrCorrupt, repo.ErrUnavailable, repo.ErrUncertain, repo.ErrConflict, repo.ErrReadOnly, repo.ErrMoved, repo.ErrExists,
	repo.ErrTooLarge, repo.ErrInvalid, repo.ErrNotFound, repo.ErrCompacted, repo.ErrClosed, context.Canceled, context.DeadlineExceeded,
}

// A Failure is an error on its way. It is the error on the other side.
type Failure struct {
	Text string `json:"text"`
	Kind string `json:"kind,omitempty"` // the text of one of kinds
}

// NewFailure returns an error as it is sent.
func NewFailure(err error) *Failure {
	f := &Failure{Text: err.Error()}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			f.Kind = kind.Error()
			break
		}
	}
	return f
}

// Error returns what the error said.
func (f *Failure) Error() string { return f.Text }

// Unwrap returns the kind, if it is known.
func (f *Failure) Unwrap() error {
	for _, kind := range kinds {
		if kind.Error() == f.Kind {
			return kind
		}
	}
	return nil
}
