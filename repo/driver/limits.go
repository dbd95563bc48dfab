package driver

// Limits of the contract, the same on every backend. Each is tested at both
// edges by the conformance suite.
const (
	// MaxKey is the largest key of a row, or of an index, in bytes of its column
	// values. A key is repeated in every index entry, in every change record and
	// in every check, and must fit well into a page of a SQL backend.
	MaxKey = 1 << 10

	// MaxRow is the largest row in canonical form. Larger things belong into a
	// file or an object store, with their name in the row.
	MaxRow = 1 << 20

	// MaxCommit is the largest sum of Write.Size in one commit. A commit travels
	// and is logged as one entry, and holds up every other commit while it does.
	MaxCommit = 8 << 20

	// MaxWrites is the largest number of writes in one commit, for the same
	// reason.
	MaxWrites = 10_000

	// Retained is how many of the latest commits every backend keeps at least,
	// for Changes and for recognising a repeated CommitID.
	Retained = 100_000
)
