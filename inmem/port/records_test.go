package port

import (
	"bufio"
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
		case at >= 0 && !errors.Is(err, errRecord):
			t.Fatalf("bit flipped at %d: %v", at, err)
		}
	}
}

func TestAChangedLengthIsNoticedBeforeAnythingIsWaitedFor(t *testing.T) {
	var sent bytes.Buffer
	whole := frame{id: 7, kind: request, payload: []byte("some payload")}.append(nil)
	for bit := range 8 * headerSize {
		damaged := bytes.Clone(whole)
		damaged[bit/8] ^= 1 << (bit % 8)
		from := io.MultiReader(bytes.NewReader(damaged[:headerSize]), silent{t})
		if _, err := readFrame(bufio.NewReaderSize(from, headerSize)); !errors.Is(err, errDamaged) {
			t.Fatalf("bit %d of a frame's head flipped: %v", bit, err)
		}
	}
	if _, err := (&records{Conn: sink{to: &sent}}).Write([]byte("some payload")); err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * recordHead {
		damaged := bytes.Clone(sent.Bytes())
		damaged[bit/8] ^= 1 << (bit % 8)
		r := &records{Conn: source{from: io.MultiReader(bytes.NewReader(damaged[:recordHead]), bytes.NewReader(damaged[recordHead:]), silent{t})}}
		if _, err := r.Read(make([]byte, 100)); !errors.Is(err, errRecord) {
			t.Fatalf("bit %d of a record's head flipped: %v", bit, err)
		}
	}
}

// A silent reader is one that must not be read: nothing would come.
type silent struct{ t *testing.T }

func (s silent) Read([]byte) (int, error) {
	s.t.Error("more is waited for")
	return 0, io.EOF
}

// A sink is a connection that is only written to, and a source one that is only read.
type sink struct {
	net.Conn
	to io.Writer
}

type source struct {
	net.Conn
	from io.Reader
}

func (s sink) Write(b []byte) (int, error)  { return s.to.Write(b) }
func (s source) Read(b []byte) (int, error) { return s.from.Read(b) }
