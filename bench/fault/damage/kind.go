package damage

// A Kind is a kind of damage to one file, or two.
type Kind string

// The kinds.
const (
	FlipBit    Kind = "flip-bit"    // one bit is inverted
	ZeroSector Kind = "zero-sector" // 512 bytes, at a multiple of that, are zeroed
	ZeroBlock  Kind = "zero-block"  // 4096 bytes, at a multiple of that, are zeroed
	Truncate   Kind = "truncate"    // some bytes in use are missing at the end
	SwapFiles  Kind = "swap-files"  // two files have each other's content
	RemoveFile Kind = "remove-file" // the file is missing
	OldVersion Kind = "old-version" // the file is as it was when Target.Old was saved
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{FlipBit, ZeroSector, ZeroBlock, Truncate, SwapFiles, RemoveFile, OldVersion}
}

// The units that disks and file systems lose data in.
const (
	sectorSize = 512
	blockSize  = 4096
)
