package raftstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync"

	"github.com/hashicorp/raft"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// The names under which Raft keeps the current term, in which term it voted last, and
// for whom.
const (
	keyTerm     = "CurrentTerm"
	keyVoteTerm = "LastVoteTerm"
	keyVote     = "LastVoteCand"
)

// errNotFound is what Raft knows a missing key by: it compares the text.
var errNotFound = errors.New("not found")

// StateConfig says where the hard state is and whose it is.
type StateConfig struct {
	FS   vfs.FS
	Name string // of the file
	Dir  string // the ID of the node's directory: 8 bytes in hex
}

// A State is a raft.StableStore: the term of this node and whom it voted for. It is
// safe for concurrent use.
//
// The file holds two copies in blocks of their own. A change is written to copy A and
// synced, then to copy B and synced, and only then does Raft act on it: so of the two
// copies the whole one is right, and of two whole ones the one with the higher
// sequence number:
//
//   - A is damaged. If B has the last change, nothing is missing. If it does not, then
//     that change was never finished, and Raft has not acted on it: A was torn by a loss
//     of power, or damaged after one that came between the two writes.
//   - B is damaged. A has the last change, finished or not. To have noted a term or a
//     vote that nobody has heard of does no harm.
//
// If both are damaged, the node may have promised anything: it must not go on.
type State struct {
	c StateConfig

	mu     sync.Mutex // guards what follows
	file   vfs.File
	now    stateCopy
	failed error // set when it is no longer known what is on the disk
}

var _ raft.StableStore = (*State)(nil)

// CreateState makes the state of a node that is in a term already and has not voted in
// it. There must be none yet.
func CreateState(c StateConfig, term uint64) (*State, error) {
	now := stateCopy{sequence: 1, values: map[string][]byte{keyTerm: binary.LittleEndian.AppendUint64(nil, term)}}
	b, err := now.encode(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("create hard state: %w", err)
	}
	switch f, err := c.FS.Open(c.Name); {
	case err == nil: // to forget a vote would be worse than not to begin
		return nil, errors.Join(fmt.Errorf("create hard state: %s: %w", c.Name, driver.ErrExists), f.Close())
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("create hard state: %w", err)
	}
	if err := vfs.WriteFile(c.FS, c.Name, append(b, b...)); err != nil {
		return nil, fmt.Errorf("create hard state: %w", err)
	}
	f, err := c.FS.Open(c.Name)
	if err != nil {
		return nil, fmt.Errorf("create hard state: %w", err)
	}
	return &State{c: c, file: f, now: now}, nil
}

// OpenState opens the state of a node, which must be there, and mends a damaged copy.
func OpenState(c StateConfig) (*State, error) {
	f, err := c.FS.Open(c.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open hard state: %w: %w; %s", driver.ErrCorrupt, err, remedy)
	}
	if err != nil {
		return nil, fmt.Errorf("open hard state: %w", err)
	}
	s := &State{c: c, file: f}
	if err := s.load(); err != nil {
		if errors.Is(err, driver.ErrCorrupt) {
			err = fmt.Errorf("%w; %s", err, remedy)
		}
		return nil, errors.Join(fmt.Errorf("open hard state: %s: %w", c.Name, err), f.Close())
	}
	return s, nil
}

// load reads both copies, takes the one that counts, and makes the other one equal.
func (s *State) load() error {
	content := make([]byte, 2*stateBlock)
	if err := readFull(s.file, content); err != nil {
		return err
	}
	a, errA := decodeState(content[:stateBlock], s.c.Dir)
	b, errB := decodeState(content[stateBlock:], s.c.Dir)
	other := int64(stateBlock) // where the copy is that does not count
	switch {
	case errors.Is(errA, driver.ErrInvalid) || errors.Is(errB, driver.ErrInvalid):
		return errors.Join(errA, errB) // of a newer program
	case errA != nil && errB != nil:
		return fmt.Errorf("both copies are damaged: %w, %w", errA, errB)
	case errA == nil && errB == nil && a.sequence == b.sequence && !maps.EqualFunc(a.values, b.values, bytes.Equal):
		return fmt.Errorf("its copies differ: %w", driver.ErrCorrupt)
	case errA != nil || errB == nil && b.sequence > a.sequence:
		s.now, other = b, 0
	default:
		s.now = a
	}
	// A process that was killed may not have synced the copy that counts: it must be
	// durable before the other one is overwritten.
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if errA == nil && errB == nil && a.sequence == b.sequence {
		return nil
	}
	text, err := s.now.encode(s.c.Dir)
	if err != nil {
		return err
	}
	return s.writeCopy(text, other)
}

// Term returns the current term, 0 if there is none yet.
func (s *State) Term() uint64 {
	term, err := s.GetUint64([]byte(keyTerm))
	if err != nil {
		return 0
	}
	return term
}

// Get implements raft.StableStore.
func (s *State) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return nil, s.failed
	}
	v, ok := s.now.values[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return append([]byte{}, v...), nil
}

// GetUint64 implements raft.StableStore.
func (s *State) GetUint64(key []byte) (uint64, error) {
	v, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("read hard state: %q is no number: %w", key, driver.ErrInvalid)
	}
	return binary.LittleEndian.Uint64(v), nil
}

// number returns a value as a number, 0 if it is none.
func number(value []byte) uint64 {
	if len(value) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(value)
}

// SetUint64 implements raft.StableStore.
func (s *State) SetUint64(key []byte, v uint64) error {
	return s.Set(key, binary.LittleEndian.AppendUint64(nil, v))
}

// Set implements raft.StableStore. The term does not go back. After an error other than
// driver.ErrTooLarge and driver.ErrInvalid it is not known what is on the disk, and every
// further call fails.
func (s *State) Set(key, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	old, ok := s.now.values[string(key)]
	if ok && bytes.Equal(old, value) {
		return nil
	}
	if ok && string(key) == keyTerm && number(value) < number(old) {
		// Raft answers heartbeats beside its main goroutine (as of v1.8.0), and may be about
		// to store the term of one when it has voted in a later term meanwhile.
		return fmt.Errorf("write hard state: term %d would follow term %d: %w", number(value), number(old), driver.ErrInvalid)
	}
	next := stateCopy{sequence: s.now.sequence + 1, values: maps.Clone(s.now.values)}
	next.values[string(key)] = append([]byte{}, value...)
	if string(key) == keyVoteTerm {
		// Raft stores for whom in a second step. After a crash between the two it would take
		// the one of an earlier vote for that of this term, and grant it once more, without
		// a look at the candidate's log. Nobody has heard of this vote yet.
		delete(next.values, keyVote)
	}
	text, err := next.encode(s.c.Dir)
	if err != nil {
		return fmt.Errorf("write hard state: %w", err)
	}
	for _, at := range []int64{0, stateBlock} {
		if err := s.writeCopy(text, at); err != nil {
			s.failed = fmt.Errorf("write hard state: %w", err)
			return s.failed
		}
	}
	s.now = next
	return nil
}

// writeCopy writes one copy and syncs it.
func (s *State) writeCopy(text []byte, at int64) error {
	if _, err := s.file.WriteAt(text, at); err != nil {
		return err
	}
	return s.file.Sync()
}

// Close closes the file. It returns the error that made it unusable, if one did.
func (s *State) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := s.failed
	if failed == nil {
		s.failed = fmt.Errorf("hard state: %w", driver.ErrClosed)
	}
	return errors.Join(failed, s.file.Close())
}
