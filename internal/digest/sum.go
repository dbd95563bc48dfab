package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// A Sum identifies the rows of one table. The zero Sum is that of no rows.
type Sum [sha256.Size]byte

// Add adds a row in canonical form.
func (s *Sum) Add(row []byte) { s.AddSum(sha256.Sum256(row)) }

// Remove takes away a row that has been added.
func (s *Sum) Remove(row []byte) {
	h := sha256.Sum256(row)
	var borrow uint64
	for i := len(s) - 8; i >= 0; i -= 8 {
		var word uint64
		word, borrow = bits.Sub64(binary.BigEndian.Uint64(s[i:]), binary.BigEndian.Uint64(h[i:]), borrow)
		binary.BigEndian.PutUint64(s[i:], word)
	}
}

// AddSum adds all rows of another sum.
func (s *Sum) AddSum(o Sum) {
	var carry uint64
	for i := len(s) - 8; i >= 0; i -= 8 {
		var word uint64
		word, carry = bits.Add64(binary.BigEndian.Uint64(s[i:]), binary.BigEndian.Uint64(o[i:]), carry)
		binary.BigEndian.PutUint64(s[i:], word)
	}
}

// String returns the sum in hex.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// MarshalText returns the sum in hex.
func (s Sum) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText undoes MarshalText.
func (s *Sum) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(s)) {
		return fmt.Errorf("parse digest: %q has not %d digits", text, hex.EncodedLen(len(s)))
	}
	if _, err := hex.Decode(s[:], text); err != nil {
		return fmt.Errorf("parse digest: %w", err)
	}
	return nil
}

// Whole returns the sum of several tables: SHA-256 over, for each table, its name
// and its sum, both preceded by their lengths as eight bytes, big endian. It
// depends on the order of the tables.
func Whole(names []string, sums []Sum) Sum {
	var b []byte
	for i, name := range names {
		b = binary.BigEndian.AppendUint64(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.BigEndian.AppendUint64(b, uint64(len(sums[i])))
		b = append(b, sums[i][:]...)
	}
	return sha256.Sum256(b)
}
