package anatomy

import (
	"bytes"
	"path/filepath"
	"strings"
)

// A Part is the bytes of a file from From up to To, which is not included.
type Part struct {
	Name     string
	From, To int
}

// Kind says what a file is, by its name.
func Kind(name string) string {
	base := filepath.Base(name)
	switch {
	case strings.HasSuffix(base, ".log"):
		return "log segment"
	case strings.HasSuffix(base, ".snap"):
		return "snapshot"
	case base == "tide":
		return "tide"
	case base == "spare.tmp":
		return "spare segment"
	case strings.HasSuffix(base, ".tmp"):
		return "unfinished file"
	case base == "store":
		return "manifest"
	case base == "state":
		return "hard state"
	}
	return base
}

// Parts returns the parts of a file, which cover it without a gap.
func Parts(name string, content []byte) []Part {
	p := &parser{b: content}
	switch Kind(name) {
	case "log segment":
		p.segment()
	case "snapshot":
		p.snapshot()
	case "tide":
		p.floor("")
	case "hard state":
		p.copy("copy A: ")
		p.copy("copy B: ")
	case "manifest":
		p.lines("format", "body", "checksum")
	}
	p.rest("rest")
	return p.parts
}

// A parser divides a file front to back.
type parser struct {
	b     []byte
	at    int
	parts []Part
}

// take makes the next n bytes a part, or as many as there are.
func (p *parser) take(name string, n int) {
	to := min(p.at+n, len(p.b))
	if to > p.at {
		p.parts = append(p.parts, Part{name, p.at, to})
		p.at = to
	}
}

// upTo makes all bytes before an offset a part.
func (p *parser) upTo(name string, at int) { p.take(name, at-p.at) }

func (p *parser) rest(name string) { p.upTo(name, len(p.b)) }

// next returns the bytes that are left.
func (p *parser) next() []byte { return p.b[p.at:] }

// copy divides one copy of the hard state.
func (p *parser) copy(name string) {
	end := p.at + block
	p.take(name+"magic", 8)
	p.take(name+"versions", 8)
	p.take(name+"directory", 8)
	p.take(name+"sequence", 8)
	p.take(name+"count", 4)
	p.take(name+"checksum", 4)
	p.take(name+"values", len(bytes.TrimRight(p.b[p.at:min(end, len(p.b))], "\x00")))
	p.upTo(name+"unused", end)
}

func (p *parser) lines(names ...string) {
	for _, name := range names {
		end := bytes.IndexByte(p.next(), '\n')
		if end < 0 {
			return
		}
		p.take(name, end+1)
	}
}
