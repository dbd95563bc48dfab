package anatomy

import (
	"bytes"
	"encoding/binary"
)

// block is what the header and the floors of a segment have each to themselves.
const block = 4 << 10

// segment divides a log segment.
func (p *parser) segment() {
	p.take("header: magic", 8)
	p.take("header: versions", 8)
	p.take("header: store", 16)
	p.take("header: first index", 8)
	p.take("header: sum before", 4)
	p.take("header: padding", 4)
	p.take("header: size", 8)
	p.take("header: padding", 4)
	p.take("header: checksum", 4)
	p.upTo("header: unused", block)
	for i, name := range []string{"floor 1", "floor 2"} {
		p.floor(name + ": ")
		p.upTo("floor: unused", (i+2)*block)
	}
	for bytes.HasPrefix(p.next(), []byte("ENTR")) && len(p.next()) >= 24 {
		p.entry()
	}
	p.rest("zero space")
}

func (p *parser) floor(prefix string) {
	p.take(prefix+"magic", 4)
	p.take(prefix+"followed", 4)
	p.take(prefix+"index", 8)
	p.take(prefix+"sum of the entry", 4)
	p.take(prefix+"checksum", 4)
}

// entry divides one entry. The last one of a segment is another part than those
// before it, because what comes behind it decides what becomes of damage.
func (p *parser) entry() {
	size := int(binary.LittleEndian.Uint32(p.next()[4:]))
	name := "entry: "
	if whole := (24 + size + 7) &^ 7; whole >= len(p.next()) || !bytes.HasPrefix(p.next()[whole:], []byte("ENTR")) {
		name = "last entry: "
	}
	p.take(name+"magic", 4)
	p.take(name+"length", 4)
	p.take(name+"index", 8)
	p.take(name+"sum before", 4)
	p.take(name+"checksum", 4)
	p.take(name+"begin of the payload", min(size, 25))
	p.take(name+"payload", size-25)
	p.upTo(name+"padding", (p.at+7)&^7)
}
