package port_test

import (
	"context"
	"io"
	"net"
	"testing"

	"trihold/inmem/port"
)

// BenchmarkRaw is the floor: 256 bytes there and back over loopback TCP.
func BenchmarkRaw(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 256)
		for {
			if _, err := io.ReadFull(conn, buf); err != nil {
				return
			}
			if _, err := conn.Write(buf); err != nil {
				return
			}
		}
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 256)
	for b.Loop() {
		if _, err := conn.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	c, to := benchPair(b)
	payload := make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Call(context.Background(), to, 1, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCallParallel(b *testing.B) {
	c, to := benchPair(b)
	b.ReportAllocs()
	b.SetParallelism(32) // 64 callers on 2 cores
	b.RunParallel(func(pb *testing.PB) {
		payload := make([]byte, 256)
		for pb.Next() {
			if _, err := c.Call(context.Background(), to, 1, payload); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// benchPair returns a port and another that echoes, with a connection between
// them.
func benchPair(b *testing.B) (*port.Port, port.Target) {
	one, two := member("n1"), member("n2")
	p := open(b, one.config())
	q := open(b, two.config())
	to := port.Target{Address: q.Addr(), ID: two.hello.ID()}
	if _, err := p.Call(context.Background(), to, echo, nil); err != nil {
		b.Fatal(err)
	}
	return p, to
}
