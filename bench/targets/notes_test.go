package targets

import "testing"

func TestAWideNoteIsAsLongAsTheValuesOfTheReferences(t *testing.T) {
	row := newWideNote(someNotes - 1)
	if got := len(noteSchema.Driver().Tables[0].Encode(nil, &row)); got != referenceBytes {
		t.Errorf("it has %d bytes, want %d", got, referenceBytes)
	}
}
