package rqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// A Store is an open rqlite. It is safe for concurrent use.
type Store struct {
	c      Config
	client *client
	dir    *directory // nil unless managed
	node   *node      // nil unless managed

	// Set by Prepare.
	layout *sqlstmt.Layout

	reads   *reads
	commits *commits
	tail    tail

	// life ends when Close has waited for the commits in flight.
	life context.Context
	end  context.CancelFunc

	mu     sync.Mutex
	closed bool           // guarded by mu
	busy   sync.WaitGroup // commits in flight; added to under mu while not closed
	work   sync.WaitGroup // what runs in the background
}

var _ driver.Store = (*Store)(nil)

// Open connects to rqlite, or starts it. It returns when rqlite can serve.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	s := &Store{c: c}
	s.life, s.end = context.WithCancel(context.Background())
	s.client = newClient(s.life, newPeers(c.Hosts...), c.User, c.Password, c.Patience)
	s.client.troubled = s.troubled
	s.reads = &reads{client: s.client, life: s.life}
	s.commits = &commits{store: s}
	open := s.connect
	if c.Dir != "" {
		open = s.startManaged
	}
	if err := open(ctx); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// startManaged takes the directory and starts rqlited in it.
func (s *Store) startManaged(ctx context.Context) error {
	binary, err := findBinary(s.c.Binary)
	if err != nil {
		return err
	}
	if err := checkBinary(ctx, binary); err != nil {
		return err
	}
	if s.dir, err = openDirectory(s.c.Dir); err != nil {
		return err
	}
	s.client.diagnose = func() error { return s.dir.mustHaveFree(freeWhenReady) }
	s.node = newNode(binary, s.dir, s.client.peers, s.c.Logger)
	if err := s.node.start(ctx); err != nil {
		return errors.Join(err, s.dir.release())
	}
	return nil
}

// connectWait is how long Open waits for an rqlite that is there but not ready.
const connectWait = 30 * time.Second

// connect waits until one of the hosts can serve. Hosts that do not answer at all
// are not waited for.
func (s *Store) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	for {
		var errs []error
		starting := false
		for _, host := range s.c.Hosts {
			err := s.client.probe(ctx, host)
			if err == nil {
				s.client.peers.prefer(host)
				return nil
			}
			starting = starting || errors.Is(err, errNotReady)
			errs = append(errs, err)
		}
		if !starting || !sleep(ctx, 20*time.Millisecond) {
			return fmt.Errorf("start rqlite at %s, or correct the address: %w: %w",
				strings.Join(s.c.Hosts, ", "), driver.ErrUnavailable, oneLine(errors.Join(errs...)))
		}
	}
}

// enter registers a commit that Close has to wait for. The caller calls
// busy.Done.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.Failed("commit", driver.ErrClosed, nil)
	}
	s.busy.Add(1)
	return nil
}

// usable returns why a read cannot be done, if so.
func (s *Store) usable(ctx context.Context, op string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.Failed(op, driver.ErrClosed, nil)
	}
	if err := ctx.Err(); err != nil {
		return driver.Failed(op, driver.ErrUnavailable, err)
	}
	return nil
}

// orClosed returns err, or ErrClosed if the store was closed meanwhile.
func (s *Store) orClosed(op string, err error) error {
	if err != nil && s.life.Err() != nil {
		return driver.Failed(op, driver.ErrClosed, nil)
	}
	return err
}

// Status implements driver.Store.
func (s *Store) Status(ctx context.Context) (driver.Status, error) {
	if err := s.usable(ctx, "status"); err != nil {
		return driver.Status{}, err
	}
	st := driver.Status{Backend: Scheme, Class: s.c.Class, Free: -1}
	if s.layout != nil {
		st.Schema = s.layout.Schema()
	}
	oldest, latest, err := s.changesRange(ctx)
	if err != nil {
		return st, err
	}
	st.Rev, st.Oldest = latest, max(0, oldest-1)
	if s.node != nil {
		st.PIDs = s.node.pids()
		if host, ok := s.client.peers.now(); ok {
			st.Addresses = []string{host}
		}
		if st.Free, err = s.dir.free(); err != nil {
			return st, err
		}
		st.Disk, err = s.dir.size()
	}
	return st, err
}

// Close implements driver.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.life.Done()
		s.work.Wait()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.busy.Wait()
	s.end()
	s.work.Wait()
	var err error
	if s.node != nil {
		s.node.stop()
		err = s.dir.release()
	}
	s.client.transport.CloseIdleConnections()
	return err
}
