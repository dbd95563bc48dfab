package rqlitebackend

import (
	"fmt"
	"testing"

	"trihold/repo/driver"
)

func TestACommitIsOvertakenByALaterWriteOfWhatItHasRead(t *testing.T) {
	var r recent
	r.note(pend(nil, accountWrite(driver.Put, "a", "a@x")).commit, 7)
	checks := func(id string, rev driver.Rev) *driver.Commit {
		c := pend(absent(id), accountWrite(driver.Put, "w", "w@x")).commit
		c.Checks.Rows[0].Rev = rev
		return c
	}
	for _, c := range []struct {
		commit *driver.Commit
		want   bool
	}{
		{checks("a", 6), true}, {checks("a", 0), true}, {checks("a", 7), false}, {checks("a", 8), false}, {checks("b", 1), false},
	} {
		if got := r.overtaken(c.commit); got != c.want {
			t.Errorf("a commit that has read %v: overtaken %v, want %v", c.commit.Checks.Rows, got, c.want)
		}
	}
	for i := range 10 * maxRecent {
		r.note(pend(nil, accountWrite(driver.Put, fmt.Sprint(i), "")).commit, driver.Rev(i+8))
	}
	if n := len(r.now) + len(r.before); n > 2*maxRecent {
		t.Errorf("%d rows are remembered, the bound is %d", n, 2*maxRecent)
	}
}
