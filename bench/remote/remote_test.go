package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"trihold/repo"
)

func TestAnErrorIsTheSameOnTheOtherSide(t *testing.T) {
	line, err := json.Marshal(NewFailure(fmt.Errorf("open x: %w", repo.ErrCorrupt)))
	if err != nil {
		t.Fatal(err)
	}
	got := &Failure{}
	if err := json.Unmarshal(line, got); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(got, repo.ErrCorrupt) || errors.Is(got, repo.ErrUnavailable) || got.Error() != "open x: "+repo.ErrCorrupt.Error() {
		t.Errorf("got %v", got)
	}
	if unknown := NewFailure(errors.New("else")); errors.Unwrap(unknown) != nil {
		t.Errorf("an error of no kind unwraps to %v", errors.Unwrap(unknown))
	}
}
