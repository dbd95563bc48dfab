package port

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
)

// A tampered connection changes one bit of what is read.
type tampered struct {
	net.Conn
	at, seen int
}

func (t *tampered) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if t.at >= t.seen && t.at < t.seen+n {
		b[t.at-t.seen] ^= 4
	}
	t.seen += n
	return n, err
}

func TestRaftReadsWhatWasWrittenOrNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	sent := make([]byte, maxRecord+5000)
	for i := range sent {
		sent[i] = byte(rnd.Uint32())
	}
	for round := range 200 {
		a, b := net.Pipe()
		at := -1
		if round > 0 {
			at = rnd.IntN(len(sent) + 3*recordHead)
		}
		go func() {
			defer a.Close()
			w := &records{Conn: a}
			for _, part := range [][]byte{sent[:100], sent[100:]} {
				if _, err := w.Write(part); err != nil {
					return // the reader has given up
				}
			}
		}()
		got, err := io.ReadAll(&records{Conn: &tampered{Conn: b, at: at}})
		b.Close()
		switch {
		case !bytes.Equal(got, sent[:len(got)]):
			t.Fatalf("bit flipped at %d: something else was read", at)
		case at < 0 && (err != nil || len(got) != len(sent)):
			t.Fatalf("read %d of %d bytes: %v", len(got), len(sent), err)
		case at >= 0 && err == nil:
			t.Fatalf("bit flipped at %d: nobody has noticed", at)
		case at >= 0 && !errors.Is(err, errRecord) && !errors.Is(err, io.ErrUnexpectedEOF):
			t.Fatalf("bit flipped at %d: %v", at, err)
		}
	}
}
