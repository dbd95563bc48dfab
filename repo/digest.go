package repo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"trihold/repo/driver"
)

// A Digest identifies the content of tables at a revision. It depends on the
// names of the tables and on their rows, and not on the backend or on how the
// rows came to be there.
type Digest struct {
	Rev    Rev           `json:"rev"`
	Sum    string        `json:"sum"` // hex
	Tables []TableDigest `json:"tables"`
}

// A TableDigest identifies the content of one table.
type TableDigest struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Sum   string `json:"sum"` // hex
}

// Digest returns the digest of the given tables, or of all of them if none is
// given. It walks every row.
//
// The sum of a table is SHA-256 over its rows in the order of the primary key,
// each in canonical form and preceded by its length as eight bytes, big endian.
// The sum of the whole is SHA-256 over, for each table, its name and its sum,
// preceded by their lengths in the same way.
func (s *Store) Digest(ctx context.Context, tables ...AnyTable) (Digest, error) {
	chosen := make([]*driver.Table, len(tables))
	for i, t := range tables {
		chosen[i] = t.driverTable()
	}
	if len(tables) == 0 {
		chosen = s.schema.driver.Tables
	}
	var d Digest
	err := s.View(ctx, func(tx *ReadTx) error {
		d = Digest{}
		whole := sha256.New()
		for _, t := range chosen {
			td, err := tx.digest(t)
			if err != nil {
				return err
			}
			d.Tables = append(d.Tables, td)
			sum, _ := hex.DecodeString(td.Sum)
			whole.Write(framed(nil, []byte(t.Name)))
			whole.Write(framed(nil, sum))
		}
		d.Rev, d.Sum = tx.Rev(), hex.EncodeToString(whole.Sum(nil))
		return nil
	})
	return d, err
}

func (r *ReadTx) digest(t *driver.Table) (TableDigest, error) {
	d := TableDigest{Table: t.Name}
	h := sha256.New()
	var buf, row []byte
	for stored, err := range r.snap.Scan(r.ctx, driver.Span{Table: t}) {
		if err != nil {
			r.failed = err
			return d, &Error{Op: "digest", Table: t.Name, Cause: err}
		}
		row = stored.Canonical(row[:0], t)
		buf = framed(buf[:0], row)
		h.Write(buf)
		d.Rows++
	}
	d.Sum = hex.EncodeToString(h.Sum(nil))
	return d, nil
}

func framed(dst, b []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(len(b))), b...)
}
