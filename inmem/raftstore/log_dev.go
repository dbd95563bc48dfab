// Throw-away: an in-memory log and state until the real ones are here. Delete this file with them.
package raftstore

import (
	"time"

	"github.com/hashicorp/raft"
	"trihold/internal/vfs"
	"trihold/internal/wal"
)

type LogConfig struct {
	WAL     wal.Config
	OnFail  func(error)
	Observe func(time.Duration)
}
type Log struct{ *raft.InmemStore }

var logs = map[string]*raft.InmemStore{}

func CreateLog(c LogConfig) (*Log, error) {
	logs[c.WAL.Dir] = raft.NewInmemStore()
	return &Log{logs[c.WAL.Dir]}, nil
}
func OpenLog(c LogConfig) (*Log, int64, error) { return &Log{logs[c.WAL.Dir]}, 0, nil }
func (l *Log) First() uint64                   { f, _ := l.FirstIndex(); return f }
func (l *Log) Range() (uint64, uint64) {
	f, _ := l.FirstIndex()
	la, _ := l.LastIndex()
	return max(f, 1), la
}
func (l *Log) LastTerm() uint64    { return 0 }
func (l *Log) Busy() time.Duration { return 0 }
func (l *Log) Retain(uint64)       {}
func (l *Log) Close() error        { return nil }

type StateConfig struct {
	FS        vfs.FS
	Name, Dir string
}
type State struct{ *raft.InmemStore }

var states = map[string]*raft.InmemStore{}

func CreateState(c StateConfig, term uint64) (*State, error) {
	states[c.Name] = raft.NewInmemStore()
	states[c.Name].SetUint64([]byte("CurrentTerm"), term)
	return &State{states[c.Name]}, nil
}
func OpenState(c StateConfig) (*State, error) { return &State{states[c.Name]}, nil }
func (s *State) Term() uint64                 { t, _ := s.GetUint64([]byte("CurrentTerm")); return t }
func (s *State) Close() error                 { return nil }
func Fresh(vfs.FS, string) (bool, error)      { return true, nil }
