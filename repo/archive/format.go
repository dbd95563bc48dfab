package archive

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"time"

	"trihold/repo/driver"
)

// An archive is written from front to back. Numbers are little endian unless they
// are uvarints, checksums are CRC-32C, digests those of package internal/digest.
//
//	header
//	  0  magic "TRIHARC1"
//	  8  format version, 4 bytes; lowest version that can read it, 4 bytes
//	 16  size of the description, 4 bytes
//	 20  checksum of the 20 bytes before and of the description, 4 bytes
//	 24  description: a Header as JSON
//
//	blocks, each
//	  0  magic "BLCK"
//	  4  kind, 4 bytes: 1 rows, 2 content
//	  8  table, its position in the schema, 4 bytes; 0 for content
//	 12  items, 4 bytes
//	 16  size of the payload, 4 bytes; size when decompressed, 4 bytes
//	 24  checksum of the checksum before (of the block or header), of the 24 bytes
//	     before, and of the payload, 4 bytes
//	 28  payload, compressed with zstd
//
//	rows:    of one table, for each: revision, uvarint; length, uvarint; row in
//	         canonical form
//	content: a repo.Digest as JSON: the revision, and of each table the number of
//	         rows and the digest. It comes once, after all rows.
//
//	end mark, 20 bytes
//	  0  magic "TRIHEND1"
//	  8  size of the file, 8 bytes
//	 16  checksum of the checksum before and of the 16 bytes before, 4 bytes
//
// Rows come in the order of the tables and of their primary keys. The revision is
// not in the header because a store that is read over a network may know it only
// after the last row. Nothing follows the end mark.
const (
	magic      = "TRIHARC1"
	blockMagic = "BLCK"
	endMagic   = "TRIHEND1"
	format     = 1

	headerSize = 24
	blockSize  = 28
	endSize    = 20

	blockRows    = 1
	blockContent = 2

	// blockTarget is the size at which a block is closed, before compression.
	blockTarget = 256 << 10
	// maxBlock is the largest block that is read, compressed or not: one that was
	// almost full got the largest row. The content may be larger than that.
	maxBlock = blockTarget + driver.MaxRow + 1024
	// maxDescription is the largest description, or content, that is read.
	maxDescription = 16 << 20
)

// A Header says where an archive comes from and what it holds.
type Header struct {
	Backend string       `json:"backend"` // of the store that it was written from
	Class   driver.Class `json:"class"`
	Created time.Time    `json:"created"`
	// Tables are the tables whose rows it holds, in the order of the schema.
	Tables []string `json:"tables"`
	// Schema describes all tables of the store; see driver.ParseSchema.
	Schema json.RawMessage `json:"schema"`
}

// Progress says how far an export, a verification or an import is.
type Progress struct {
	What  string
	Rows  int64
	Total int64 // 0 if it is not known
}

// progressEvery is after how many rows progress is told.
const progressEvery = 1000

func (p Progress) tell(to func(Progress)) {
	if to != nil && p.Rows%progressEvery == 0 {
		to(p)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chained continues the chain of checksums over some more parts.
func chained(before uint32, parts ...[]byte) uint32 {
	sum := crc32.Checksum(binary.LittleEndian.AppendUint32(nil, before), castagnoli)
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum
}

// headerSum is the checksum of a header, with which the chain begins.
func headerSum(fixed, description []byte) uint32 {
	return crc32.Update(crc32.Checksum(fixed[:20], castagnoli), castagnoli, description)
}
