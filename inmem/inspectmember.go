package inmem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"

	"trihold/inmem/raftstore"
	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// InspectedMember is which node of a cluster a directory is, and its hard state.
type InspectedMember struct {
	Node  string `json:"node"`
	ID    string `json:"id"` // of the directory
	Epoch uint64 `json:"epoch"`
	Term  uint64 `json:"term"`
	Vote  string `json:"vote,omitempty"` // the ID of the server it voted for last
	// VoteTerm is the term of that vote.
	VoteTerm uint64 `json:"vote_term,omitempty"`
	// Servers are the members, in the newest snapshot's configuration.
	Servers []InspectedServer `json:"servers,omitempty"`
}

// InspectedServer is a member of a configuration.
type InspectedServer struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Voter   bool   `json:"voter"`
}

// member inspects the directory of a member. The order is that in which a member opens
// it, and so is the judgement.
func (in *Inspection) member(ctx context.Context, disk *draft, m manifest, schema *driver.Schema) error {
	in.Member = &InspectedMember{Node: m.Member.Node, ID: m.Member.Dir, Epoch: m.Member.Epoch}
	snapshots, logs := filepath.Join(raftDir, raftSnapshotDir), filepath.Join(raftDir, raftLogDir)
	err := in.snapshotsIn(disk, snapshots, func(file string) error { return in.memberSnapshot(disk, file, m, schema) })
	if err != nil {
		return err
	}
	lc := wal.Config{FS: disk, Dir: filepath.Join(in.Dir, logs), StoreID: m.identity().logStoreID(), SegmentSize: minSegment}
	if err := in.segments(lc, logs); err != nil {
		return err
	}
	if err := in.hardState(disk); err != nil {
		return in.refused(filepath.Join(raftDir, raftStateFile), err, remedyRejoin)
	}
	log, _, err := raftstore.OpenLog(raftstore.LogConfig{WAL: lc})
	if err != nil {
		return in.refused(logs, err, remedyRejoin)
	}
	err = in.memberState(ctx, disk, m, schema, log)
	return errors.Join(err, log.Close())
}

// hardState inspects the term and the vote.
func (in *Inspection) hardState(disk *draft) error {
	file := filepath.Join(raftDir, raftStateFile)
	name := filepath.Join(in.Dir, file)
	before, err := vfs.ReadFile(disk, name)
	if err != nil {
		before = nil // opening says what that means
	}
	state, err := raftstore.OpenState(raftstore.StateConfig{FS: disk, Name: name, Dir: in.Member.ID})
	if err != nil {
		return err
	}
	in.Member.Term = state.Term()
	if vote, err := state.Get([]byte("LastVoteCand")); err == nil {
		in.Member.Vote = string(vote)
	}
	if term, err := state.GetUint64([]byte("LastVoteTerm")); err == nil {
		in.Member.VoteTerm = term
	}
	after, err := vfs.ReadFile(disk, name)
	if err == nil && !bytes.Equal(before, after) {
		in.find(file, -1, errors.New("one of its two copies is not readable, as a loss of power can leave it, and the other one counts"), remedyFloor)
	}
	return errors.Join(err, state.Close())
}

// memberState rebuilds the state of a member whose log and hard state are whole.
func (in *Inspection) memberState(ctx context.Context, disk *draft, m manifest, schema *driver.Schema, log *raftstore.Log) error {
	if term := log.LastTerm(); term > in.Member.Term {
		in.find(filepath.Join(raftDir, raftStateFile), -1, fmt.Errorf("it is of term %d, the log of term %d: an old copy", in.Member.Term, term), remedyRejoin)
		return nil
	}
	dir := filepath.Join(raftDir, raftSnapshotDir)
	snaps, err := raftstore.OpenSnapshots(raftstore.SnapshotConfig{FS: disk, Dir: filepath.Join(in.Dir, dir), Cluster: m.ID, Verify: verifyBody})
	if err != nil {
		return err
	}
	first, last := log.Range()
	if _, err := snaps.Check(first, last); err != nil {
		return in.refused(dir, err, remedyRejoin)
	}
	r, included, err := in.newest(snaps, m, schema)
	if err != nil {
		return in.refused(dir, err, remedyRejoin)
	}
	work := thaw(r)
	for index := included + 1; index <= last; index++ {
		var l raft.Log
		err := ctx.Err()
		if err == nil {
			err = log.GetLog(index, &l)
		}
		if err == nil && l.Type == raft.LogCommand {
			err = applyOffline(schema, work, &l)
		}
		if err != nil {
			return in.refused(filepath.Join(raftDir, raftLogDir), err, remedyRejoin)
		}
	}
	if err := in.content(ctx, work.freeze(), schema); err != nil {
		return err
	}
	in.Content.CertainIndex, in.Content.LastIndex = included, max(last, included)
	return nil
}

// newest returns the state of the newest whole snapshot, and the index of the last entry
// that it includes. A member that was never sent one has none.
func (in *Inspection) newest(snaps *raftstore.Snapshots, m manifest, schema *driver.Schema) (*root, uint64, error) {
	all, err := snaps.List()
	if err != nil {
		return nil, 0, err
	}
	if len(all) == 0 {
		return newRoot(schema), 0, nil
	}
	meta, body, err := snaps.Open(all[0].ID)
	if err != nil {
		return nil, 0, err
	}
	for _, s := range meta.Configuration.Servers {
		in.Member.Servers = append(in.Member.Servers, InspectedServer{ID: string(s.ID), Address: string(s.Address), Voter: s.Suffrage == raft.Voter})
	}
	r, _, err := readBody(body, m.ID, schema, false)
	return r, meta.Index, errors.Join(err, body.Close())
}

// applyOffline does to a state what a replica does with a committed entry.
func applyOffline(schema *driver.Schema, work *state, l *raft.Log) error {
	f, err := decodeFrame(l.Data)
	if err != nil {
		return fmt.Errorf("entry %d: %w", l.Index, err)
	}
	if f.id.term != l.Term || f.before != work.last {
		return nil // it has no effect anywhere
	}
	if f.hash != work.hash {
		return fmt.Errorf("before entry %d the state has the hash %016x, and its leader's had %016x: %w", l.Index, work.hash, f.hash, driver.ErrCorrupt)
	}
	if format, raised := decodeRaise(f.entry); raised {
		work.format = format
	} else if err := replay(schema, work, f.entry, func(driver.Change) {}); err != nil {
		return fmt.Errorf("entry %d: %w", l.Index, err)
	}
	work.last, work.index, work.time, work.hash = f.id, l.Index, f.time, work.stateHash()
	return nil
}
