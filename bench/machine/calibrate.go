package machine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Calibration is what the machine needs for the smallest durable or remote
// step. Times are in microseconds.
type Calibration struct {
	// SyncP50 and SyncP99 are for appending 4 KiB to a file and fdatasync.
	SyncP50 float64 `json:"append_4k_fdatasync_p50_us"`
	SyncP99 float64 `json:"append_4k_fdatasync_p99_us"`
	// CreateP50 is for creating a file, fsync, rename, and fsync of the directory.
	CreateP50 float64 `json:"create_fsync_rename_fsync_p50_us"`
	// LoopbackP50 is for one byte to a TCP server on the same machine and back.
	LoopbackP50 float64 `json:"loopback_tcp_round_trip_p50_us"`
}

const (
	syncs     = 300
	creates   = 100
	roundTrip = 2000
)

// Calibrate measures for a second or so, in a directory that it makes within dir
// and removes.
func Calibrate(dir string) (c Calibration, err error) {
	dir, err = os.MkdirTemp(dir, "calibrate-")
	if err != nil {
		return c, fmt.Errorf("calibrate: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	sync, err := Sync(dir, syncs)
	if err != nil {
		return c, err
	}
	create, err := Create(dir, creates)
	if err != nil {
		return c, err
	}
	loop, err := Loopback(roundTrip)
	if err != nil {
		return c, err
	}
	c.SyncP50, c.SyncP99 = Micros(Percentile(sync, 50)), Micros(Percentile(sync, 99))
	c.CreateP50, c.LoopbackP50 = Micros(Percentile(create, 50)), Micros(Percentile(loop, 50))
	return c, nil
}

// Micros returns a duration in microseconds.
func Micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// Percentile returns the smallest value that is not below p percent of them. It
// sorts them.
func Percentile(values []time.Duration, p float64) time.Duration {
	slices.Sort(values)
	at := int(float64(len(values))*p/100+0.999999) - 1
	return values[min(max(at, 0), len(values)-1)]
}

// Sync appends 4 KiB to a file and makes them durable, n times.
func Sync(dir string, n int) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return nil, fmt.Errorf("measure fdatasync: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	for range n {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, fmt.Errorf("measure fdatasync: %w", err)
		}
		if err := datasync(f); err != nil {
			return nil, fmt.Errorf("measure fdatasync: %w", err)
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

// Create makes a small file durable under its final name, n times.
func Create(dir string, n int) ([]time.Duration, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("measure file creation: %w", err)
	}
	defer d.Close()
	block := make([]byte, 4096)
	final := filepath.Join(dir, "created")
	var took []time.Duration
	for range n {
		start := time.Now()
		if err := create(d, final+".tmp", final, block); err != nil {
			return nil, fmt.Errorf("measure file creation: %w", err)
		}
		took = append(took, time.Since(start))
	}
	return took, os.Remove(final)
}

func create(dir *os.File, temporary, final string, content []byte) error {
	f, err := os.Create(temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, final); err != nil {
		return err
	}
	return dir.Sync()
}

// Loopback sends a byte over TCP on this machine and back, n times.
func Loopback(n int) (took []time.Duration, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("measure loopback: %w", err)
	}
	echoed := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.Copy(c, c)
			err = errors.Join(err, c.Close())
		}
		echoed <- err
	}()
	defer func() { err = errors.Join(err, l.Close(), <-echoed) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("measure loopback: %w", err)
	}
	defer c.Close()
	b := []byte{1}
	for range n {
		start := time.Now()
		if _, err := c.Write(b); err != nil {
			return nil, fmt.Errorf("measure loopback: %w", err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return nil, fmt.Errorf("measure loopback: %w", err)
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}
