package port_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"trihold/inmem/port"
)

// echoEnv makes the test binary the other end of a benchmark: nodes are processes
// of their own.
const echoEnv = "TRIHOLD_PORT_ECHO"

func TestMain(m *testing.M) {
	switch os.Getenv(echoEnv) {
	case "raw":
		echoRaw()
	case "port":
		p, err := port.Open(member("n2").config())
		if err != nil {
			panic(err)
		}
		fmt.Println(p.Addr())
		_, _ = io.Copy(io.Discard, os.Stdin)
		p.Close()
	default:
		os.Exit(m.Run())
	}
}

// echoRaw sends back 256 bytes at a time to one client.
func echoRaw() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	conn, err := listener.Accept()
	if err != nil {
		panic(err)
	}
	buf := make([]byte, 256)
	for {
		if _, err := io.ReadFull(conn, buf); err != nil {
			return
		}
		if _, err := conn.Write(buf); err != nil {
			return
		}
	}
}

// startEcho starts the other process, and returns its address.
func startEcho(b *testing.B, what string) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), echoEnv+"="+what)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// BenchmarkRaw is the floor: 256 bytes there and back over loopback TCP.
func BenchmarkRaw(b *testing.B) {
	conn, err := net.Dial("tcp", startEcho(b, "raw"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() }) // before the other process is awaited
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
	p, to := benchPair(b)
	payload := make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Call(context.Background(), to, echo, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCallParallel(b *testing.B) {
	p, to := benchPair(b)
	b.ReportAllocs()
	b.SetParallelism(32) // callers for each core
	b.RunParallel(func(pb *testing.PB) {
		payload := make([]byte, 256)
		for pb.Next() {
			if _, err := p.Call(context.Background(), to, echo, payload); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// benchPair returns a port that is connected to one of another process.
func benchPair(b *testing.B) (*port.Port, port.Target) {
	to := port.Target{Address: startEcho(b, "port"), ID: member("n2").hello.ID()}
	p := open(b, member("n1").config())
	if _, err := p.Call(context.Background(), to, echo, nil); err != nil {
		b.Fatal(err)
	}
	return p, to
}
