package inmem

import (
	"testing"
	"time"
)

func TestAWriteStallsForAsLongAsItIsSeenTo(t *testing.T) {
	var s stalling
	for i := range 10 {
		if got := s.watch(time.Duration(i) * watchPause); got != time.Duration(i)*watchPause {
			t.Fatalf("after %d looks at a write: watched for %v", i, got)
		}
	}
	if got := s.watch(time.Hour); got > 11*watchPause {
		t.Errorf("a process that was stopped for an hour counts %v", got)
	}
	if got := s.watch(time.Millisecond); got > 0 {
		t.Errorf("another write counts %v of the one before", got)
	}
	if got := s.watch(0); got != 0 {
		t.Errorf("no write counts %v", got)
	}
}
