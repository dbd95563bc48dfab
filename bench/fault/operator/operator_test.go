package operator

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trihold/repo"
)

// serve answers commands at the socket of a directory, with a status and a body.
func serve(t *testing.T, dir string, status int, body string) (asked *string) {
	t.Helper()
	t.Chdir(dir) // the name of a socket is short
	l, err := net.Listen("unix", socketName)
	if err != nil {
		t.Fatal(err)
	}
	asked = new(string)
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*asked = r.Method + " " + r.URL.Path + " " + string(text)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return asked
}

func TestAStatusIsReadFromTheSocketOfADirectoryWithALongName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	mustMkdir(t, dir)
	want := Status{Name: "n1", Role: Leads, Term: 3, Leader: "n1", Members: []Member{{Name: "n1", Voter: true, Lag: -1}}}
	text, err := json.Marshal(map[string]any{"status": want})
	if err != nil {
		t.Fatal(err)
	}
	asked := serve(t, dir, http.StatusOK, string(text))
	got, err := Send(t.Context(), dir, Command{Do: Ask})
	if err != nil || got.Role != Leads || got.Term != 3 || len(got.Members) != 1 || !got.Members[0].Voter {
		t.Errorf("got %+v, %v", got, err)
	}
	if *asked != `POST /cluster {"do":"status"}` {
		t.Errorf("asked %s", *asked)
	}
}

func TestARefusalIsTheErrorThatItWas(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, http.StatusConflict, `{"kind":"`+repo.ErrNotFound.Error()+`","error":"no member is called n9"}`)
	_, err := Send(t.Context(), dir, Command{Do: Remove, Name: "n9"})
	if !errors.Is(err, repo.ErrNotFound) || !strings.Contains(err.Error(), "n9") {
		t.Errorf("got %v", err)
	}
}

func TestANodeThatIsNotThereIsAnError(t *testing.T) {
	if _, err := Send(t.Context(), t.TempDir(), Command{Do: Ask}); err == nil {
		t.Error("somebody answers")
	}
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}
