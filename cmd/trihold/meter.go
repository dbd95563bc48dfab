package main

import (
	"io"
	"time"

	"trihold/bench"
	"trihold/repo/archive"
)

// A meter shows how far reading or writing an archive is.
type meter struct {
	progress *progress
	since    time.Time // of the step that is under way
	what     string
	read     int64 // bytes of the file, where they say how far it is
	size     int64
}

func newMeter(c console) *meter { return &meter{progress: newProgress(c.err)} }

func (m *meter) show(p archive.Progress) {
	if p.What != m.what {
		m.what, m.since = p.What, time.Now()
	}
	done, total := p.Rows, p.Total
	if total == 0 {
		done, total = m.read, m.size
	}
	e := bench.Progress{What: p.What, Rows: p.Rows}
	if taken := time.Since(m.since); taken > time.Second && 0 < done && done < total {
		e.Left = time.Duration(float64(taken) / float64(done) * float64(total-done))
	}
	m.progress.show(e)
}

// counted returns the reader; what is read from it counts.
func (m *meter) counted(in io.ReadSeeker, size int64) io.ReadSeeker {
	m.size = size
	return &countedReader{in, m}
}

type countedReader struct {
	io.ReadSeeker
	m *meter
}

func (r *countedReader) Read(b []byte) (int, error) {
	n, err := r.ReadSeeker.Read(b)
	r.m.read += int64(n)
	return n, err
}
