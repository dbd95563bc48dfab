package port

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	"trihold/repo/driver"
)

func TestEveryFlippedBitOfAFrameIsNoticed(t *testing.T) {
	whole := frame{id: 7, kind: request, method: 3, payload: []byte("some payload")}.append(nil)
	for i := range len(whole) * 8 {
		damaged := bytes.Clone(whole)
		damaged[i/8] ^= 1 << (i % 8)
		if f, err := readFrame(bufio.NewReader(bytes.NewReader(damaged))); err == nil {
			t.Errorf("bit %d: %+v", i, f)
		}
	}
	for n := range whole {
		if _, err := readFrame(bufio.NewReader(bytes.NewReader(whole[:n]))); (n == 0) != (err == io.EOF) || err == nil {
			t.Errorf("%d bytes of a frame: %v", n, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(frame{id: 1, kind: request, method: 2, payload: []byte("payload")}.append(nil))
	f.Add(frame{kind: ping}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		var again []byte
		for {
			got, err := readFrame(r)
			if err != nil {
				break
			}
			again = got.append(again)
		}
		if len(again) > len(b) {
			t.Errorf("%d bytes make frames of %d", len(b), len(again))
		}
	})
}

func FuzzGreeting(f *testing.F) {
	var b bytes.Buffer
	hello := Hello{Cluster: [16]byte{1}, Epoch: 2, Name: "n1", Dir: "aaaa", Address: "127.0.0.1:1", Reads: 1, Writes: 1}
	if err := writeMessage(&b, greeting{purpose: Raft, want: "n2/bbbb", from: hello}.encode()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), greeting{purpose: Raft, want: "n2/bbbb", from: hello}.encode())
	f.Add(b.Bytes(), encodeAnswer(hello, nil))
	f.Add(b.Bytes(), encodeAnswer(hello, errors.New("no")))
	f.Fuzz(func(t *testing.T, message, body []byte) {
		if body, err := readMessage(bytes.NewReader(message)); err == nil {
			_, _ = decodeGreeting(body)
		}
		if g, err := decodeGreeting(body); err == nil {
			again, err := decodeGreeting(g.encode())
			if err != nil || again != g {
				t.Errorf("%+v is read as %+v, %v", g, again, err)
			}
		}
		_, _ = decodeAnswer(body)
	})
}

func FuzzFault(f *testing.F) {
	f.Add(encodeFault(&driver.Error{Op: "insert", Table: "t", Index: "i", Key: "k", Kind: driver.ErrExists, Cause: errors.New("cause")}))
	f.Add(encodeFault(&Redirect{Leader: "127.0.0.1:1", ID: "n1/aaaa"}))
	f.Add(encodeFault(errors.Join(driver.ErrClosed, errors.New("x"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := decodeFault(b)
		if err == nil {
			t.Fatal("a failure without an error")
		}
		_ = err.Error()
		_ = errors.Is(err, driver.ErrClosed)
	})
}
