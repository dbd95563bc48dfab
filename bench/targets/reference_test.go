package targets

import (
	"strings"
	"testing"
	"time"
)

func TestARowWhoseReferenceIsNotBuiltSaysHowToBuildIt(t *testing.T) {
	l := &lab{Config: Config{Reference: "/does/not/exist/reference", Rounds: 1, Duration: 20 * time.Millisecond}, dir: t.TempDir()}
	_, err := updatesOver(1, 1, "raft")(t.Context(), l)
	if err == nil || !strings.Contains(err.Error(), "make bin/reference") {
		t.Errorf("got %v", err)
	}
}

func TestAReferenceThatDiesIsQuoted(t *testing.T) {
	l := &lab{Config: Config{Reference: "/bin/cat", Rounds: 1, Duration: 20 * time.Millisecond}, dir: t.TempDir()}
	err := l.withReference(t.Context(), "raft", 1, 1, func(*reference) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "it died: exit status 1: ") {
		t.Errorf("got %v", err)
	}
}
