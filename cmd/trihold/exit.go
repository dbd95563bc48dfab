package main

import (
	"context"
	"errors"

	"trihold/bench/input"
	"trihold/repo"
)

// The exit codes. Scripts depend on them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnavailable = 3
	exitDamaged     = 4
	exitInterrupted = 130
)

const exitCodes = `Exit codes:
  0    done
  1    a verification failed, no run of a comparison is valid, or something unforeseen
       happened
  2    bad usage or bad input: nothing was started
  3    a store or an archive could not be read, or is not available
  4    trihold inspect has found damage
  130  interrupted; everything was stopped and removed`

// A usageError is a mistake on the command line.
type usageError struct{ why string }

func (e *usageError) Error() string { return e.why }

// errReported is an error whose details have been printed already.
var errReported = errors.New("failed")

// errDamaged is damage of which the details have been printed already.
var errDamaged = errors.New("damaged")

func exitCode(err error) int {
	var usage *usageError
	var bad *input.Error
	var child childExit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &child):
		return int(child)
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, errDamaged):
		return exitDamaged
	case errors.As(err, &usage), errors.As(err, &bad), errors.Is(err, repo.ErrInvalid):
		return exitUsage
	case errors.Is(err, repo.ErrUnavailable), errors.Is(err, repo.ErrCorrupt), errors.Is(err, repo.ErrReadOnly), errors.Is(err, repo.ErrUncertain),
		errors.Is(err, repo.ErrMoved):
		return exitUnavailable
	}
	return exitFailed
}
