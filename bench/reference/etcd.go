package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

func runEtcd(ctx context.Context, args []string) error {
	p, err := parsePlan("etcd", args, 3, 64)
	if err != nil {
		return err
	}
	return p.measure(ctx, "etcd put", []string{"go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/client/v3"}, openEtcd)
}

// A bareEtcd is etcd with its defaults, and clients that are connected to the leader.
type bareEtcd struct {
	members []*embed.Etcd
	clients []*clientv3.Client
	size    int
	written atomic.Uint64 // the values that have been made; each is another
}

const (
	// connections is how many the clients share: etcd is faster with some than with
	// one.
	connections = 8
	// keysPerClient are those that one client writes in turn.
	keysPerClient = 32
)

func openEtcd(ctx context.Context, p *plan, dir string) (_ cluster, err error) {
	b := &bareEtcd{size: p.size}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	configs, err := etcdConfigs(p.nodes, dir)
	if err != nil {
		return nil, err
	}
	for _, c := range configs {
		e, err := embed.StartEtcd(c)
		if err != nil {
			return nil, fmt.Errorf("start etcd member %s: %w", c.Name, err)
		}
		b.members = append(b.members, e)
	}
	for _, e := range b.members {
		select {
		case <-e.Server.ReadyNotify():
		case err := <-e.Err():
			return nil, fmt.Errorf("start etcd: %w", err)
		case <-time.After(electionWait):
			return nil, fmt.Errorf("etcd was not ready within %v", electionWait)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	address, err := b.leader()
	if err != nil {
		return nil, err
	}
	for range connections {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
		if err != nil {
			return nil, fmt.Errorf("connect to etcd: %w", err)
		}
		b.clients = append(b.clients, c)
	}
	return b, nil
}

// etcdConfigs returns the configurations of members that know each other.
func etcdConfigs(nodes int, dir string) (configs []*embed.Config, err error) {
	var peers []string
	for n := range nodes {
		c := embed.NewConfig()
		c.Name = fmt.Sprint("n", n)
		c.Dir = filepath.Join(dir, c.Name)
		// It reports closing as an error; what matters comes from Err.
		c.LogLevel, c.LogOutputs = "fatal", []string{"stderr"}
		peer, err := freeURL()
		if err != nil {
			return nil, err
		}
		client, err := freeURL()
		if err != nil {
			return nil, err
		}
		c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
		c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
		configs, peers = append(configs, c), append(peers, c.Name+"="+peer.String())
	}
	for _, c := range configs {
		c.InitialCluster = strings.Join(peers, ",")
	}
	return configs, nil
}

// freeURL returns an address that nobody listens on.
func freeURL() (url.URL, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return url.URL{}, fmt.Errorf("find a free port: %w", err)
	}
	return url.URL{Scheme: "http", Host: l.Addr().String()}, l.Close()
}

// leader returns the address of the leader for clients.
func (b *bareEtcd) leader() (string, error) {
	for _, e := range b.members {
		if e.Server.Leader() == e.Server.MemberID() {
			return e.Config().AdvertiseClientUrls[0].String(), nil
		}
	}
	return "", errors.New("etcd is ready, but has no leader")
}

func (b *bareEtcd) write(ctx context.Context, client, i int) error {
	value := make([]byte, b.size)
	binary.LittleEndian.PutUint64(value, b.written.Add(1))
	key := fmt.Sprintf("note%09d", client*keysPerClient+i%keysPerClient)
	_, err := b.clients[client%len(b.clients)].Put(ctx, key, string(value))
	return err
}

func (b *bareEtcd) close() (err error) {
	for _, c := range b.clients {
		err = errors.Join(err, c.Close())
	}
	for _, e := range b.members {
		e.Close()
	}
	return err
}
