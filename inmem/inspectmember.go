package inmem

import (
	"context"
	"path/filepath"

	"trihold/repo/driver"
)

// InspectedMember is which node of a cluster a directory is.
type InspectedMember struct {
	Node  string `json:"node"`
	ID    string `json:"id"` // of the directory
	Epoch uint64 `json:"epoch"`
	Term  uint64 `json:"term"` // of the hard state
}

// member inspects the directory of a member.
func (in *Inspection) member(ctx context.Context, disk *draft, m manifest, schema *driver.Schema) error {
	in.Member = &InspectedMember{Node: m.Member.Node, ID: m.Member.Dir, Epoch: m.Member.Epoch}
	return in.snapshotsIn(disk, filepath.Join(raftDir, raftSnapshotDir), func(file string) error { return in.memberSnapshot(disk, file, m, schema) })
}
