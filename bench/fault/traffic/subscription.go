package traffic

import (
	"context"
	"fmt"
	"sync"

	"trihold/bench/fault/history"
	"trihold/repo"
)

// A Subscription follows the change stream of a store, while everything else goes
// on.
type Subscription struct {
	After int64 // it tells what was committed behind this revision

	mu      sync.Mutex
	changes []history.Change // guarded by mu
	err     error            // why it has ended; guarded by mu
	news    chan struct{}    // closed and replaced with each change; guarded by mu
}

// Subscribe follows a store from a revision on, until ctx ends.
func Subscribe(ctx context.Context, s *repo.Store, after int64) *Subscription {
	sub := &Subscription{After: after, news: make(chan struct{})}
	go func() {
		for c, err := range s.Changes(ctx, repo.Rev(after)) {
			sub.add(c, err)
		}
	}()
	return sub
}

func (s *Subscription) add(c repo.Change, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = err
	} else {
		s.changes = append(s.changes, change(c))
	}
	close(s.news)
	s.news = make(chan struct{})
}

// UpTo returns the changes up to a revision, having waited for them.
func (s *Subscription) UpTo(ctx context.Context, rev int64) ([]history.Change, error) {
	for {
		s.mu.Lock()
		changes, err, news := s.changes, s.err, s.news
		s.mu.Unlock()
		if n := len(changes); n > 0 && changes[n-1].Rev >= rev || n == 0 && s.After >= rev {
			return changes, nil
		}
		if err != nil {
			return nil, fmt.Errorf("follow the changes to revision %d: %w", rev, err)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, fmt.Errorf("follow the changes to revision %d, having seen %d of them: %w", rev, len(changes), ctx.Err())
		}
	}
}
