package corruption

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"trihold/internal/digest"
	"trihold/internal/verify"
	"trihold/repo/driver"
)

// A content identifies all that a store tells of itself: rows with their revisions,
// and the commits that made them.
type content struct {
	rev     driver.Rev
	rows    digest.Sum
	commits [sha256.Size]byte
}

func (c content) String() string {
	return fmt.Sprintf("revision %d, rows %.8s, commits %.8x", c.rev, c.rows, c.commits)
}

// contentOf reads a store on which nobody works, and verifies it.
func contentOf(ctx context.Context, d driver.Store, s *driver.Schema) (c content, err error) {
	if err := verify.Store(ctx, d, s); err != nil {
		return c, err
	}
	snap, err := d.Begin(ctx, driver.Mode{})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	c.rev = snap.Rev()
	for _, t := range s.Stored() {
		for row, err := range snap.Scan(ctx, driver.Span{Table: t}) {
			if err != nil {
				return c, err
			}
			c.rows.Add(row.Canonical(fmt.Appendf(nil, "%s %d ", t.Name, row.Rev), t))
		}
	}
	status, err := d.Status(ctx)
	if err != nil {
		return c, err
	}
	h := sha256.New()
	for at := status.Oldest; at < c.rev; {
		for change, err := range d.Changes(ctx, at) {
			if err != nil {
				return c, err
			}
			fmt.Fprintf(h, "%d %x %d\n", change.Rev, change.ID, len(change.Keys))
			if at = change.Rev; at >= c.rev {
				break
			}
		}
	}
	h.Sum(c.commits[:0])
	return c, nil
}
