package inmem

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"trihold/inmem/port"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// What nodes ask each other for.
const (
	methodIntroduce uint8 = iota + 1 // who are you
	methodCommit                     // decide about a commit
	methodReadIndex                  // which entry must a read include
	methodConfirm                    // are you in this term
	methodCondition                  // how are you
	methodJoin                       // take me in
	methodCommand                    // do what an operator asks for
)

// An introduction is what a node tells anybody of itself and of its cluster.
type introduction struct {
	Name    string   `json:"name"`
	ID      string   `json:"id"`
	Address string   `json:"address"`
	Schema  string   `json:"schema"`
	Cluster string   `json:"cluster,omitempty"` // in hex; empty: the node has none yet
	Epoch   uint64   `json:"epoch,omitempty"`
	Format  uint32   `json:"format,omitempty"`
	Members []string `json:"members,omitempty"` // their IDs
	Leader  string   `json:"leader,omitempty"`  // its ID; empty: none is known
}

// introduceSelf answers methodIntroduce.
func (m *member) introduceSelf() ([]byte, error) {
	id := m.identity()
	in := introduction{Name: id.name, ID: id.id(), Address: m.c.Advertise}
	running := m.running.Load()
	if running || len(m.c.Peers) > 0 { // before that, a node that joins may be about to get its schema
		in.Schema = m.store.schema.Describe()
	}
	if running {
		in.Cluster, in.Epoch = hex.EncodeToString(id.cluster[:]), id.epoch
		in.Format = m.store.published.Load().format
		_, leader := m.raft.LeaderWithID()
		in.Leader = string(leader)
		for _, s := range m.servers() {
			in.Members = append(in.Members, string(s.ID))
		}
	}
	return json.Marshal(in)
}

// askWho asks whoever is at an address for an introduction.
func (m *member) askWho(ctx context.Context, address string) (in introduction, err error) {
	answer, err := m.port.Call(ctx, port.Target{Address: address}, methodIntroduce, nil)
	if err == nil {
		err = json.Unmarshal(answer, &in)
	}
	if err != nil {
		return in, fmt.Errorf("ask who is at %s: %w", address, err)
	}
	return in, nil
}

// introduce asks at several addresses until one belongs to a cluster.
func (m *member) introduce(ctx context.Context, addresses []string) (introduction, error) {
	ctx, done := m.patient(ctx)
	defer done()
	for wait := m.backoff(); ; wait.next() {
		var errs error
		for _, address := range addresses {
			in, err := m.askWho(ctx, address)
			if err == nil && in.Cluster != "" {
				return in, nil
			}
			if err == nil {
				err = fmt.Errorf("node %s at %s belongs to no cluster yet", in.Name, address)
			}
			if err := m.fatal(err); err != nil {
				return in, err
			}
			errs = errors.Join(errs, err)
		}
		if err := wait.until(ctx); err != nil {
			return introduction{}, fmt.Errorf("join: %w: %w", driver.ErrUnavailable, errs)
		}
	}
}

func parseStoreID(text string) (id wal.StoreID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is no ID of a cluster: %w", text, driver.ErrCorrupt)
	}
	return wal.StoreID(b), nil
}
