package inmem

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// orphanAfter is for how many election timeouts a node may hear of no leader before it
// asks the others whether it still belongs to them.
const orphanAfter = 5

// watchLeader asks the others whether this node still belongs to them if it has heard of
// no leader for long. A node that was removed, or that the cluster was recovered without,
// would otherwise want to be elected for ever, and nobody would answer.
func (m *member) watchLeader(since time.Time) time.Time {
	if _, leader := m.raft.LeaderWithID(); leader != "" || since.IsZero() {
		return time.Now()
	}
	if time.Since(since) < orphanAfter*m.c.Election {
		return since
	}
	ctx, cancel := context.WithTimeout(m.life, m.c.Election)
	defer cancel()
	for _, s := range m.servers() {
		if string(s.ID) == m.identity().id() {
			continue
		}
		_, address := port.ParseRaftAddress(s.Address)
		in, err := m.askWho(ctx, address)
		if err != nil {
			continue
		}
		if why := m.orphaned(in); why != nil {
			m.fail(why)
			return since
		}
	}
	return time.Now()
}

// orphaned says why this node does not belong to the cluster of another one, if it does
// not.
func (m *member) orphaned(in introduction) error {
	id := m.identity()
	switch {
	case in.Cluster != hex.EncodeToString(id.cluster[:]) || in.Leader == "":
		return nil // it knows no more than this one
	case in.Epoch > id.epoch:
		return fmt.Errorf("the cluster was recovered without this node and is in epoch %d, this node in %d; %s: %w", in.Epoch, id.epoch, remedyRejoin, driver.ErrInvalid)
	case in.Epoch < id.epoch:
		return nil
	}
	for _, member := range in.Members {
		if member == id.id() {
			return nil
		}
	}
	return fmt.Errorf("this node is no member of its cluster any more; %s: %w", remedyRejoin, driver.ErrInvalid)
}
