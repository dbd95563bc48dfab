package anatomy

import "encoding/binary"

// block is what the header and the floors of a segment have each to themselves.
const block = 4 << 10

// segment divides a log segment.
func (p *parser) segment() {
	p.take("header: magic", 8)
	p.take("header: versions", 8)
	p.take("header: store", 16)
	p.take("header: first index", 8)
	p.take("header: sum before", 4)
	p.take("header: generation", 4)
	p.take("header: size", 8)
	p.take("header: fresh", 4)
	p.take("header: checksum", 4)
	p.upTo("header: unused", block)
	for i, name := range []string{"floor 1", "floor 2"} {
		p.floor(name + ": ")
		p.upTo("floor: unused", (i+2)*block)
	}
	for p.atEntry(p.at) {
		p.entry()
	}
	p.rest("zero space")
}

// atEntry reports whether there is an entry at an offset.
func (p *parser) atEntry(at int) bool {
	magic := p.b[min(at, len(p.b)):min(at+4, len(p.b))]
	return (string(magic) == "ENTR" || string(magic) == "ENT2") && len(p.b)-at >= 28
}

func (p *parser) floor(prefix string) {
	p.take(prefix+"magic", 4)
	p.take(prefix+"followed", 4)
	p.take(prefix+"index", 8)
	p.take(prefix+"sum of the entry", 4)
	p.take(prefix+"checksum", 4)
}

// payloadHead is how many bytes of a payload are a part of their own: what a replica
// looks at before anything else.
const payloadHead = 65

// entry divides one entry. The last one of a segment is another part than those
// before it, because what comes behind it decides what becomes of damage.
func (p *parser) entry() {
	size, header := int(binary.LittleEndian.Uint32(p.next()[4:])), 28
	if p.next()[3] == 'R' {
		header = 24
	}
	name := "entry: "
	if !p.atEntry(p.at + (header+size+7)&^7) {
		name = "last entry: "
	}
	p.take(name+"magic", 4)
	p.take(name+"length", 4)
	p.take(name+"index", 8)
	p.take(name+"sum before", 4)
	p.take(name+"place in the batch", header-24)
	p.take(name+"checksum", 4)
	p.take(name+"begin of the payload", min(size, payloadHead))
	p.take(name+"payload", size-payloadHead)
	p.upTo(name+"padding", (p.at+7)&^7)
}
