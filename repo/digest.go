package repo

import (
	"context"

	"trihold/internal/digest"
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
// The sum of a table is the sum, modulo 2^256, of the SHA-256 of each of its rows in
// canonical form. The sum of the whole is SHA-256 over, for each table, its name and
// its sum, preceded by their lengths as eight bytes, big endian. Package
// internal/digest says more, and what such a sum can and cannot find.
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
		var names []string
		var sums []digest.Sum
		for _, t := range chosen {
			rows, sum, err := tx.digest(t)
			if err != nil {
				return err
			}
			d.Tables = append(d.Tables, TableDigest{Table: t.Name, Rows: rows, Sum: sum.String()})
			names, sums = append(names, t.Name), append(sums, sum)
		}
		d.Rev, d.Sum = tx.Rev(), digest.Whole(names, sums).String()
		return nil
	})
	return d, err
}

func (r *ReadTx) digest(t *driver.Table) (rows int64, sum digest.Sum, err error) {
	var row []byte
	for stored, err := range r.snap.Scan(r.ctx, driver.Span{Table: t}) {
		if err != nil {
			r.failed = err
			return 0, sum, &Error{Op: "digest", Table: t.Name, Cause: err}
		}
		row = stored.Canonical(row[:0], t)
		sum.Add(row)
		rows++
	}
	return rows, sum, nil
}
