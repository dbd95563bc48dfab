package port

import (
	"errors"
	"io"
	"net"
	"testing"
)

// What waits for a write to end when the connection breaks was never sent, and
// only that.
func TestOnlyFramesWhoseWriteHasBegunCountAsSent(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	s := newSender(near)
	gone, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.run(gone)
	}()
	first, err := s.send(frame{id: 1, kind: request}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(far, make([]byte, 1)); err != nil { // the rest of the write waits
		t.Fatal(err)
	}
	second, err := s.send(frame{id: 2, kind: request}, true)
	if err != nil {
		t.Fatal(err)
	}
	s.fail(errGone)
	close(gone)
	<-ended
	if !s.begun(first) || s.begun(second) {
		t.Errorf("begun: %v and %v", s.begun(first), s.begun(second))
	}
	if _, err := s.send(frame{id: 3, kind: request}, true); !errors.Is(err, errGone) {
		t.Errorf("send after that: %v", err)
	}
}
