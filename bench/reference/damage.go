package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A damage changes the content of a file at rest. It may return its argument
// unchanged: then it was none.
type damage struct {
	name string
	do   func(r *rand.Rand, b []byte, used int) []byte
}

const sector = 512

var damages = []damage{
	{"zero", func(r *rand.Rand, b []byte, used int) []byte {
		at := r.IntN(used) / sector * sector
		clear(b[at:min(at+sector, len(b))])
		return b
	}},
	{"flip", func(r *rand.Rand, b []byte, used int) []byte {
		b[r.IntN(used)] ^= 1 << r.IntN(8)
		return b
	}},
	{"cut", func(r *rand.Rand, b []byte, used int) []byte { return b[:r.IntN(used)] }},
	{"swap", func(r *rand.Rand, b []byte, used int) []byte {
		sectors := max(used/sector, 1)
		one, other := r.IntN(sectors)*sector, r.IntN(sectors)*sector
		if max(one, other)+sector > len(b) {
			return b
		}
		kept := bytes.Clone(b[one : one+sector])
		copy(b[one:one+sector], b[other:other+sector])
		copy(b[other:other+sector], kept)
		return b
	}},
}

// An outcome is what became of a damaged log.
type outcome string

const (
	intact  outcome = "intact"  // nothing is missing
	refused outcome = "refused" // it said that something is wrong
	crashed outcome = "crashed" // the process died or hung, which is noticed, too
	lost    outcome = "lost"    // acknowledged entries are gone, and it said nothing
	altered outcome = "altered" // it gave back what was never written, and said nothing
)

// A tally counts the outcomes of one damage to one kind of file.
type tally struct {
	File     string          `json:"file"`
	Damage   string          `json:"damage"`
	Cases    int             `json:"cases"`
	Outcomes map[outcome]int `json:"outcomes"`
	Example  string          `json:"example,omitempty"` // of what went unnoticed
}

// A damaged is the last line of the output.
type damaged struct {
	Reference string   `json:"reference"`
	Versions  []string `json:"versions"`
	Entries   int      `json:"entries"`
	Cases     int      `json:"cases"`
	Silent    int      `json:"silent"`
	Tallies   []*tally `json:"tallies"`
}

// count adds one case to the tally of its kind.
func (d *damaged) count(file, damage string, o outcome, what string) {
	at := slices.IndexFunc(d.Tallies, func(t *tally) bool { return t.File == file && t.Damage == damage })
	if at < 0 {
		at = len(d.Tallies)
		d.Tallies = append(d.Tallies, &tally{File: file, Damage: damage, Outcomes: map[outcome]int{}})
	}
	t := d.Tallies[at]
	t.Cases++
	t.Outcomes[o]++
	if o == lost || o == altered {
		d.Silent++
		t.Example = what
	}
}

// A torture damages copies of one log, each in one place, and opens them again.
type torture struct {
	log   log
	exe   string
	dir   string
	cases int
	rand  *rand.Rand // used by one goroutine
}

// runDamage shows what raft-wal makes of damage at rest, which it does not promise
// to notice.
func runDamage(ctx context.Context, args []string) (err error) {
	t := &torture{log: log{entries: 1000, segment: 64 << 10}}
	var seed uint64
	var parent string
	fl := flag.NewFlagSet("damage", flag.ContinueOnError)
	fl.IntVar(&t.cases, "cases", 400, "logs to damage")
	fl.Uint64Var(&seed, "seed", 1, "what the places are drawn with")
	fl.StringVar(&parent, "dir", "", "where the logs are made (default: that of temporary files)")
	if err := fl.Parse(args); err != nil {
		return err
	}
	t.rand = rand.New(rand.NewPCG(seed, seed))
	if t.exe, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if t.dir, err = os.MkdirTemp(parent, "reference-"); err != nil {
		return fmt.Errorf("make a directory for the logs: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.dir)) }()
	whole := filepath.Join(t.dir, "whole")
	if err := os.Mkdir(whole, 0o777); err != nil {
		return fmt.Errorf("make a directory for the log: %w", err)
	}
	if _, err := t.step(ctx, "wal-write", whole); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	out, err := t.run(ctx, whole)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// step carries out one step of a log in a process of its own.
func (t *torture) step(ctx context.Context, verb, dir string) ([]byte, error) {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return exec.CommandContext(ctx, t.exe, verb, "-dir", dir, "-entries", strconv.Itoa(t.log.entries), "-segment", strconv.Itoa(t.log.segment)).Output()
}

// workers is how many logs are opened at the same time.
const workers = 4

func (t *torture) run(ctx context.Context, whole string) (*damaged, error) {
	files, err := os.ReadDir(whole)
	if err != nil {
		return nil, fmt.Errorf("list the log: %w", err)
	}
	out := &damaged{Reference: "raft-wal, damaged at rest", Versions: versions([]string{"github.com/hashicorp/raft-wal"}), Entries: t.log.entries, Cases: t.cases}
	slots := make(chan struct{}, workers)
	var mu sync.Mutex // guards out and failed
	var failed error
	var wg sync.WaitGroup
	for n := range t.cases {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		file := files[n%len(files)].Name()
		d := damages[n/len(files)%len(damages)]
		dir := filepath.Join(t.dir, strconv.Itoa(n))
		if err := t.damage(whole, dir, file, d); err != nil {
			return nil, err
		}
		kind := kindOf(file, files[len(files)-2].Name())
		wg.Go(func() {
			defer func() { <-slots }()
			o, what := t.judge(ctx, dir)
			err := os.RemoveAll(dir)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			out.count(kind, d.name, o, file+": "+what)
		})
	}
	wg.Wait()
	slices.SortFunc(out.Tallies, func(a, b *tally) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Damage, b.Damage))
	})
	return out, errors.Join(failed, context.Cause(ctx))
}

// kindOf names what a file is: the index is the last by name, the segment that was
// written last the one before.
func kindOf(file, lastSegment string) string {
	switch {
	case !strings.HasSuffix(file, ".wal"):
		return "index"
	case file == lastSegment:
		return "last segment"
	}
	return "sealed segment"
}

// damage copies a log and damages one file of the copy.
func (t *torture) damage(whole, dir, file string, d damage) error {
	if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
		return fmt.Errorf("copy the log: %w", err)
	}
	path := filepath.Join(dir, file)
	before, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read what is to be damaged: %w", err)
	}
	used := len(bytes.TrimRight(before, "\x00"))
	after := before
	for bytes.Equal(before, after) {
		after = d.do(t.rand, bytes.Clone(before), used)
	}
	if err := os.WriteFile(path, after, 0o666); err != nil {
		return fmt.Errorf("write the damage: %w", err)
	}
	return nil
}

// judge opens a damaged log, and says what of it was seen.
func (t *torture) judge(ctx context.Context, dir string) (outcome, string) {
	answer, err := t.step(ctx, "wal-read", dir)
	var r reading
	if err != nil || json.Unmarshal(answer, &r) != nil {
		return crashed, ""
	}
	switch {
	case r.Error != "":
		return refused, r.Error
	case r.Altered > 0:
		return altered, fmt.Sprintf("%d entries are altered", r.Altered)
	case r.Lost > 0:
		return lost, fmt.Sprintf("%d of %d acknowledged entries are gone", r.Lost, t.log.entries)
	}
	return intact, ""
}
