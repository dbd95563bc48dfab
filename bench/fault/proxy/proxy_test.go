package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long something that must happen may take on a busy machine.
const patience = 20 * time.Second

func seed(t testing.TB) uint64 {
	t.Helper()
	s := rand.Uint64()
	if env := os.Getenv("TRIHOLD_SEED"); env != "" {
		var err error
		if s, err = strconv.ParseUint(env, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TRIHOLD_SEED=%d", s)
	return s
}

// serve starts a server that handles each connection and ends with the test.
func serve(t testing.TB, handle func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// echo sends back what it receives, and closes its half after the client has.
func echo(c *net.TCPConn) { _, _ = io.Copy(c, c) }

func start(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := Listen(Config{Target: target, Seed: seed(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func send(t testing.TB, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func expect(t testing.TB, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("received %d of %d bytes: %v", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("received other bytes than were sent")
	}
}

// expectNothing looks for a moment; it can only miss what comes later.
func expectNothing(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("received %d bytes, %v; want nothing", n, err)
	}
}

func expectReset(t testing.TB, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a reset", err)
	}
}

// dialToReset makes a connection that is reset, which may be before it is known to
// exist.
func dialToReset(t testing.TB, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err == nil {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		expectReset(t, c)
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
}

func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func TestWithoutToxicsEverythingPassesAndHalvesCloseOnTheirOwn(t *testing.T) {
	p := start(t, serve(t, echo))
	c := dial(t, p.Addr())
	want := noise(3 << 20)
	go func() {
		_, _ = c.Write(want)
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("received %d of %d bytes, %v", len(got), len(want), err)
	}
	wait(t, "the end of the connection", func() bool { return p.Counts().Open == 0 })
	if n := p.Counts(); n.Connections != 1 || n.Up.Bytes != int64(len(want)) || n.Down.Bytes != int64(len(want)) || n.Cut != 0 {
		t.Errorf("counted %+v", n)
	}
}

func TestSilenceHealsWithNoByteLostOrReordered(t *testing.T) {
	p := start(t, serve(t, echo))
	c := dial(t, p.Addr())
	send(t, c, []byte("before"))
	expect(t, c, []byte("before"))
	p.Set(Both(Flow{Silence: true}))
	want := noise(8 << 20) // more than all buffers hold: the sender is to come to a halt
	go func() { _, _ = c.Write(want) }()
	wait(t, "bytes to be held", func() bool { return p.Counts().Up.Held > 0 })
	expectNothing(t, c)
	if n := p.Counts(); n.Up.Bytes != 6 || n.Open != 1 {
		t.Fatalf("counted %+v during silence", n)
	}
	p.Set(Toxics{})
	expect(t, c, want)
}

func TestOneWaySilenceLetsTheOtherWayThrough(t *testing.T) {
	received := make(chan string, 1)
	p := start(t, serve(t, func(c *net.TCPConn) {
		_, _ = c.Write([]byte("hello"))
		b := make([]byte, 4)
		_, _ = io.ReadFull(c, b)
		received <- string(b)
		_, _ = c.Write([]byte("done"))
		_, _ = io.Copy(io.Discard, c)
	}))
	c := dial(t, p.Addr())
	expect(t, c, []byte("hello"))
	p.Set(Toxics{Down: Flow{Silence: true}})
	send(t, c, []byte("work"))
	select {
	case got := <-received:
		if got != "work" {
			t.Fatalf("the target received %q", got)
		}
	case <-time.After(patience):
		t.Fatal("the target received nothing")
	}
	wait(t, "the answer to be held", func() bool { return p.Counts().Down.Held == 4 })
	expectNothing(t, c)
	p.Set(Toxics{})
	expect(t, c, []byte("done"))
	if n := p.Counts(); n.Up.Held != 0 {
		t.Errorf("counted %+v", n)
	}
}

func TestSilenceHidesTheEndOfTheOtherSide(t *testing.T) {
	p := start(t, serve(t, echo))
	c := dial(t, p.Addr())
	send(t, c, []byte("x"))
	expect(t, c, []byte("x"))
	p.Set(Both(Flow{Silence: true}))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expectNothing(t, c)
	p.Set(Toxics{})
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("received %d bytes, %v; want the end", n, err)
	}
}

func TestAConnectionMadeDuringSilenceWaitsForTheHeal(t *testing.T) {
	p := start(t, serve(t, echo))
	p.Set(Toxics{Down: Flow{Silence: true}})
	stays, gone := dial(t, p.Addr()), dial(t, p.Addr())
	send(t, stays, []byte("hello"))
	send(t, gone, []byte("I will not wait"))
	wait(t, "both to be kept", func() bool { return p.Counts().Kept == 2 })
	gone.Close()
	expectNothing(t, stays)
	p.Set(Toxics{})
	expect(t, stays, []byte("hello"))
	wait(t, "the other to be forgotten", func() bool { return p.Counts().Open == 1 })
	if runtime.GOOS == "linux" && p.Counts().Up.Bytes != 5 {
		t.Errorf("the target received %d bytes; want none from the client that gave up", p.Counts().Up.Bytes)
	}
}

func TestAConnectionThatLostBytesIsResetAtTheHeal(t *testing.T) {
	p := start(t, serve(t, echo))
	hit, idle := dial(t, p.Addr()), dial(t, p.Addr())
	for _, c := range []net.Conn{hit, idle} {
		send(t, c, []byte("x"))
		expect(t, c, []byte("x"))
	}
	p.Set(Toxics{Up: Flow{Drop: true}})
	send(t, hit, []byte("lost"))
	wait(t, "bytes to be dropped", func() bool { return p.Counts().Up.Dropped == 4 })
	expectNothing(t, hit)
	p.Set(Toxics{})
	expectReset(t, hit)
	send(t, idle, []byte("y"))
	expect(t, idle, []byte("y"))
	if n := p.Counts(); n.Cut != 1 || n.Up.Bytes != 3 {
		t.Errorf("counted %+v", n)
	}
}

func TestDelayIsKeptAndOrderWithIt(t *testing.T) {
	p := start(t, serve(t, echo))
	c := dial(t, p.Addr())
	p.Set(Toxics{Up: Flow{Delay: 30 * time.Millisecond, Jitter: 30 * time.Millisecond}})
	begin := time.Now()
	var want []byte
	for i := range 200 {
		line := fmt.Appendf(nil, "%06d\n", i)
		want = append(want, line...)
		send(t, c, line)
	}
	expect(t, c, want)
	// Were the delays added up instead of overlapping, this would take 6 s.
	if took := time.Since(begin); took < 30*time.Millisecond {
		t.Errorf("took %v, less than the delay", took)
	}
	if n := p.Counts(); n.Up.Delayed != int64(len(want)) || n.Down.Delayed != 0 {
		t.Errorf("counted %+v", n)
	}
}

func TestADelayThatEndsDoesNotReorder(t *testing.T) {
	p := start(t, serve(t, echo))
	c := dial(t, p.Addr())
	p.Set(Both(Flow{Delay: 100 * time.Millisecond}))
	send(t, c, []byte("first "))
	wait(t, "bytes to be delayed", func() bool { return p.Counts().Up.Delayed == 6 })
	p.Set(Toxics{})
	send(t, c, []byte("second"))
	expect(t, c, []byte("first second"))
}

func TestBandwidthLimitsTheSumOfConnections(t *testing.T) {
	p := start(t, serve(t, echo))
	p.Set(Toxics{Up: Flow{Bandwidth: 400_000}})
	want := noise(60_000)
	begin := time.Now()
	var wg sync.WaitGroup
	for range 2 {
		c := dial(t, p.Addr())
		wg.Go(func() { _, _ = c.Write(want) })
		wg.Go(func() {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("received other bytes than were sent: %v", err)
			}
		})
	}
	wg.Wait()
	// 120 kB less the first and last piece of 8 kB.
	if took := time.Since(begin); took < 250*time.Millisecond {
		t.Errorf("120 kB at 400 kB/s took %v", took)
	}
}

func TestASlowReaderStallsItsSender(t *testing.T) {
	p := start(t, serve(t, echo))
	c := dial(t, p.Addr())
	p.Set(Toxics{Up: Flow{SlowReader: 2000}})
	send(t, c, []byte("x")) // from here on, reads are small
	expect(t, c, []byte("x"))
	want := noise(16 << 20)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		sent <- err
	}()
	select {
	case err := <-sent:
		t.Fatalf("16 MiB were taken at once, %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if n := p.Counts().Up.Bytes; n > 64<<10 {
		t.Errorf("%d bytes passed a reader of 2000 per second", n)
	}
	p.Set(Toxics{})
	expect(t, c, want)
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestFlipsAreCountedAndReallyThere(t *testing.T) {
	p := start(t, serve(t, echo))
	p.Set(Toxics{Down: Flow{FlipEvery: 1000}})
	c := dial(t, p.Addr())
	want := noise(100_000)
	go func() { _, _ = c.Write(want) }()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	inStretch := make([]int, 100)
	for i := range got {
		inStretch[i/1000] += bits.OnesCount8(got[i] ^ want[i])
	}
	for i, n := range inStretch {
		if n != 1 {
			t.Errorf("%d bits flipped in stretch %d", n, i)
		}
	}
	if n := p.Counts(); n.Down.Flipped != 100 || n.Up.Flipped != 0 {
		t.Errorf("counted %+v", n)
	}
}

func TestFlipsDependOnTheSeedAndNotOnThePieces(t *testing.T) {
	whole := make([]byte, 10_000)
	f := flipper{rand: rand.New(rand.NewPCG(7, 1))}
	n := f.flip(whole, 64)
	pieces := make([]byte, 10_000)
	g := flipper{rand: rand.New(rand.NewPCG(7, 1))}
	m := 0
	r := rand.New(rand.NewPCG(seed(t), 0))
	for rest := pieces; len(rest) > 0; {
		k := min(len(rest), r.IntN(100))
		m += g.flip(rest[:k], 64)
		rest = rest[k:]
	}
	if n != m || n < 156 || !bytes.Equal(whole, pieces) {
		t.Errorf("%d and %d flips, equal: %v", n, m, bytes.Equal(whole, pieces))
	}
}

func TestAConnectionIsCutAfterSoManyBytes(t *testing.T) {
	p := start(t, serve(t, echo))
	p.Set(Toxics{Up: Flow{CutEvery: 1000}})
	for range 3 {
		c := dial(t, p.Addr())
		send(t, c, noise(999))
		expect(t, c, noise(999))
		send(t, c, []byte("x"))
		expectReset(t, c)
	}
	if n := p.Counts(); n.Cut != 3 || n.Up.Bytes != 3000 {
		t.Errorf("counted %+v", n)
	}
}

func TestCutResetsWhatIsOpenAndNothingElse(t *testing.T) {
	p := start(t, serve(t, echo))
	a, b := dial(t, p.Addr()), dial(t, p.Addr())
	for _, c := range []net.Conn{a, b} {
		send(t, c, []byte("x"))
		expect(t, c, []byte("x"))
	}
	if n := p.Cut(); n != 2 {
		t.Errorf("%d connections cut", n)
	}
	expectReset(t, a)
	expectReset(t, b)
	c := dial(t, p.Addr())
	send(t, c, []byte("x"))
	expect(t, c, []byte("x"))
}

func TestNewConnectionsAreRefused(t *testing.T) {
	p := start(t, serve(t, echo))
	old := dial(t, p.Addr())
	send(t, old, []byte("x"))
	expect(t, old, []byte("x"))
	p.Set(Toxics{RefuseNew: true})
	dialToReset(t, p.Addr())
	send(t, old, []byte("y"))
	expect(t, old, []byte("y"))
	if n := p.Counts(); n.Refused != 1 || n.Open != 1 {
		t.Errorf("counted %+v", n)
	}
}

func TestATargetThatIsGoneIsAReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	p := start(t, nobody)
	dialToReset(t, p.Addr())
	if n := p.Counts(); n.Unreachable != 1 {
		t.Errorf("counted %+v", n)
	}
	p.SetTarget(serve(t, echo))
	c := dial(t, p.Addr())
	send(t, c, []byte("x"))
	expect(t, c, []byte("x"))
}

func TestAResetOfTheTargetReachesTheClient(t *testing.T) {
	p := start(t, serve(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.SetLinger(0)
	}))
	c := dial(t, p.Addr())
	send(t, c, []byte("x"))
	expectReset(t, c)
}

func TestNothingRunsAfterClose(t *testing.T) {
	before := runtime.NumGoroutine()
	addr := ""
	t.Run("proxy", func(t *testing.T) {
		target := serve(t, echo)
		p, err := Listen(Config{Target: target})
		if err != nil {
			t.Fatal(err)
		}
		addr = p.Addr()
		for _, toxics := range []Toxics{
			{}, Both(Flow{Silence: true}), Both(Flow{Delay: time.Hour}), Both(Flow{Bandwidth: 1}), Both(Flow{SlowReader: 1}), Both(Flow{Drop: true}),
		} {
			p.Set(toxics)
			c := dial(t, addr)
			send(t, c, noise(10_000))
		}
		wait(t, "the connections", func() bool { return p.Counts().Open == 6 })
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
		if n := p.Counts().Open; n != 0 {
			t.Errorf("%d connections open", n)
		}
	})
	wait(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	if l, err := net.Listen("tcp", addr); err != nil && !strings.Contains(err.Error(), "in use") {
		t.Error(err)
	} else if err == nil {
		l.Close()
	} else {
		t.Errorf("the port is still taken: %v", err)
	}
}

// Meant to be run with -race.
func TestManyConnectionsWhileToxicsChange(t *testing.T) {
	p := start(t, serve(t, echo))
	stop := make(chan struct{})
	var wg, changer sync.WaitGroup
	changer.Go(func() {
		kinds := []Toxics{
			{}, {Up: Flow{Silence: true}}, Both(Flow{Delay: time.Millisecond, Jitter: time.Millisecond}), {Down: Flow{Silence: true}},
			{Down: Flow{Bandwidth: 50 << 20}}, {Up: Flow{SlowReader: 10 << 20}}, Both(Flow{Silence: true, Delay: time.Millisecond}),
		}
		for i := 0; ; i++ {
			select {
			case <-stop:
				p.Set(Toxics{})
				return
			default:
				p.Set(kinds[i%len(kinds)])
				time.Sleep(2 * time.Millisecond)
			}
		}
	})
	for w := range 8 {
		wg.Go(func() {
			for round := range 3 {
				c, err := net.Dial("tcp", p.Addr())
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(patience))
				want := noise(1000*w + round + 50_000)
				go func() { _, _ = c.Write(want) }()
				got := make([]byte, len(want))
				if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("connection %d/%d: received %d of %d bytes, %v", w, round, n, len(want), err)
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	close(stop)
	changer.Wait()
}

func BenchmarkRoundTrip(b *testing.B) {
	target := serve(b, echo)
	p := start(b, target)
	for _, way := range []struct{ name, addr string }{{"direct", target}, {"proxied", p.Addr()}} {
		b.Run(way.name, func(b *testing.B) {
			c := dial(b, way.addr)
			_ = c.SetDeadline(time.Time{})
			msg := noise(512)
			for b.Loop() {
				send(b, c, msg)
				expect(b, c, msg)
			}
		})
	}
}
