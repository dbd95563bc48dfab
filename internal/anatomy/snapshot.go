package anatomy

import (
	"bytes"
	"encoding/binary"
)

// snapshot divides a snapshot file, which has a prelude if a member wrote it.
func (p *parser) snapshot() {
	if at := bytes.Index(p.b, []byte("TRIHSNP1")); at > 0 {
		p.take("prelude: magic", 8)
		p.take("prelude: versions", 8)
		p.take("prelude: cluster", 16)
		p.take("prelude: index", 8)
		p.take("prelude: term", 8)
		p.take("prelude: configuration's index", 8)
		p.take("prelude: version and size", 8)
		p.upTo("prelude: configuration", at-4)
		p.upTo("prelude: checksum", at)
	}
	p.take("header: magic", 8)
	p.take("header: versions", 8)
	p.take("header: store", 16)
	p.take("header: revision", 8)
	p.take("header: index", 8)
	p.take("header: unused", 12)
	p.take("header: checksum", 4)
	for bytes.HasPrefix(p.next(), []byte("BLCK")) && len(p.next()) >= 28 {
		kind, size := binary.LittleEndian.Uint32(p.next()[4:]), int(binary.LittleEndian.Uint32(p.next()[16:]))
		name := map[uint32]string{1: "rows: ", 2: "changes: ", 3: "end: ", 4: "state: ", 5: "schema: "}[kind]
		p.take(name+"magic", 4)
		p.take(name+"kind", 4)
		p.take(name+"table", 4)
		p.take(name+"items", 4)
		p.take(name+"sizes", 8)
		p.take(name+"checksum", 4)
		p.take(name+"payload", size)
	}
}
