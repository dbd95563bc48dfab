package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// A log is a log of raft-wal whose entries can be told from all others. Each step is
// a process of its own: closing a log leaves its index file locked until the process
// ends.
type log struct {
	dir     string
	entries int
	segment int // bytes
}

func parseLog(name string, args []string) (*log, error) {
	l := &log{}
	fl := flag.NewFlagSet(name, flag.ContinueOnError)
	fl.StringVar(&l.dir, "dir", "", "directory of the log, which exists")
	fl.IntVar(&l.entries, "entries", 1000, "entries that were acknowledged")
	fl.IntVar(&l.segment, "segment", 64<<10, "bytes of a segment")
	err := fl.Parse(args)
	if err == nil && l.dir == "" {
		err = errors.New("name a directory with -dir")
	}
	return l, err
}

func (l *log) open() (*wal.WAL, error) {
	quiet := hclog.New(&hclog.LoggerOptions{Output: io.Discard})
	return wal.Open(l.dir, wal.WithSegmentSize(l.segment), wal.WithLogger(quiet))
}

// entry returns what an index was acknowledged with.
func (l *log) entry(index uint64) *raft.Log {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], index)
	data := make([]byte, 200)
	_, _ = rand.NewChaCha8(seed).Read(data) // it never fails
	return &raft.Log{Index: index, Term: 1 + index/100, Data: data}
}

// runWalWrite acknowledges the entries, one after the other.
func runWalWrite(_ context.Context, args []string) error {
	l, err := parseLog("wal-write", args)
	if err != nil {
		return err
	}
	w, err := l.open()
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	for index := range uint64(l.entries) {
		if err := w.StoreLogs([]*raft.Log{l.entry(index + 1)}); err != nil {
			return errors.Join(fmt.Errorf("write entry %d: %w", index+1, err), w.Close())
		}
	}
	return w.Close()
}

// A reading is what a log gives back.
type reading struct {
	Last    uint64 `json:"last"`
	Lost    int    `json:"lost"`            // acknowledged entries beyond first and last
	Altered int    `json:"altered"`         // entries that are given back as what they never were
	Error   string `json:"error,omitempty"` // the first, of opening or of reading
}

// runWalRead opens the log and reads all of it.
func runWalRead(_ context.Context, args []string) error {
	l, err := parseLog("wal-read", args)
	if err != nil {
		return err
	}
	r, err := l.read()
	if err != nil {
		r.Error = err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func (l *log) read() (r reading, err error) {
	w, err := l.open()
	if err != nil {
		return r, fmt.Errorf("open: %w", err)
	}
	first, err := w.FirstIndex()
	if err != nil {
		return r, fmt.Errorf("first index: %w", err)
	}
	if r.Last, err = w.LastIndex(); err != nil {
		return r, fmt.Errorf("last index: %w", err)
	}
	for index := range uint64(l.entries) {
		index++
		if index < first || index > r.Last {
			r.Lost++
			continue
		}
		var got raft.Log
		if failed := w.GetLog(index, &got); failed != nil {
			if err == nil {
				err = fmt.Errorf("entry %d: %w", index, failed)
			}
			continue
		}
		want := l.entry(index)
		if got.Index != want.Index || got.Term != want.Term || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) {
			r.Altered++
		}
	}
	return r, err
}
