package fusefs

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"
)

func TestASocketAnswersAndIsNoObstacleToALossOfPower(t *testing.T) {
	for _, keep := range []bool{true, false} {
		f := mount(t, Config{KeepNames: keep})
		for range 2 { // a socket is made anew at each start of its program
			d, err := os.Open(f.Dir())
			must(t, err)
			name := fmt.Sprintf("/proc/self/fd/%d/s", d.Fd()) // the name of a socket is short
			must(t, os.RemoveAll(name))
			l, err := net.Listen("unix", name)
			must(t, err)
			go func() {
				if c, err := l.Accept(); err == nil {
					_, _ = io.WriteString(c, "hello")
					_ = c.Close()
				}
			}()
			c, err := net.Dial("unix", name)
			must(t, err)
			got, err := io.ReadAll(c)
			if err != nil || string(got) != "hello" {
				t.Errorf("heard %q, %v", got, err)
			}
			must(t, c.Close())
			l.(*net.UnixListener).SetUnlinkOnClose(false) // as after a kill
			must(t, l.Close())
			must(t, d.Close())
		}
		lose(t, f, 0)
	}
}
