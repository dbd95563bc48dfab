package input

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.ndjson")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRecordsAreFoundWithTheirKeyGroupAndPlace(t *testing.T) {
	text := "{\"id\":1,\"a\":{\"b\":\"x\"}}\r\n\n  {\"id\":\"two\",\"a\":{\"b\":true}} \n{\"id\":3.50,\"a.b\":\"dot\"}\n{\"id\":4}"
	path := write(t, text)
	f, err := Scan(path, "id", "a.b", 0)
	if err != nil {
		t.Fatal(err)
	}
	type found struct{ Key, Group, Text string }
	var got []found
	for _, r := range f.Records {
		got = append(got, found{r.Key, r.Group, text[r.Offset : r.Offset+int64(r.Len)]})
	}
	want := []found{
		{"1", "x", `{"id":1,"a":{"b":"x"}}`},
		{"two", "true", `{"id":"two","a":{"b":true}}`},
		{"3.50", "dot", `{"id":3.50,"a.b":"dot"}`},
		{"4", "", `{"id":4}`},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestALimitEndsTheScan(t *testing.T) {
	f, err := Scan(write(t, "{\"id\":1}\n{\"id\":2}\nbroken"), "id", "", 2)
	if err != nil || len(f.Records) != 2 {
		t.Errorf("%d records, %v", len(f.Records), err)
	}
}

func TestWhatIsWrongIsSaidWithItsLine(t *testing.T) {
	long := strings.Repeat("x", 2<<20)
	for _, c := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"cut short", "{\"id\":1}\n{\"id\":", 2, "not a JSON object: unexpected EOF"},
		{"not JSON", "{\"id\":1}\n\n{id:2}", 3, "invalid character 'i'"},
		{"array", "[1]", 1, "not a JSON object"},
		{"two values", "{\"id\":1} {\"id\":2}", 1, "more than one JSON value"},
		{"no key", "{\"id\":1}\n{\"di\":2,\"x\":1}", 2, `no field "id", which is to be its key; it has: di, x`},
		{"null key", "{\"id\":null}", 1, `no field "id"`},
		{"object as key", "{\"id\":{\"a\":1}}", 1, "not a string, number or bool"},
		{"empty key", "{\"id\":\"\"}", 1, "is empty"},
		{"duplicate key", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"a\"}", 3, `key "a" is there twice: also in line 1`},
		{"number and text are one key", "{\"id\":1}\n{\"id\":\"1\"}", 2, "also in line 1"},
		{"long key", `{"id":"` + long[:2000] + `"}`, 1, "the key has 2000 bytes"},
		{"long record", `{"id":1,"x":"` + long + `"}`, 1, "the limit is"},
		{"array as group", `{"id":1,"g":[1]}`, 1, "to be the group"},
		{"own field", `{"id":1,"_trihold":1}`, 1, "updates are going to add"},
		{"own mark", "{\"id\":\"a\\u001fcopy1\"}", 1, "new keys are made with"},
		{"not UTF-8", "{\"id\":\"\xff\"}", 1, "UTF-8"},
		{"empty", "", 0, "has no records"},
		{"only line breaks", "\n\n", 0, "has no records"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Scan(write(t, c.text), "id", "g", 0)
			var e *Error
			if !errors.As(err, &e) || e.Line != c.line || !strings.Contains(e.Why, c.want) || strings.Contains(e.Error(), "\n") {
				t.Errorf("got %v, want line %d: %s", err, c.line, c.want)
			}
		})
	}
	if _, err := Scan("/does/not/exist", "id", "", 0); err == nil || !strings.Contains(err.Error(), "/does/not/exist: cannot be opened: no such file") {
		t.Errorf("got %v", err)
	}
}

const index = `Package: a
Version: 1
Description: first
 more
 .
 end

Package: b
Version: 1
Tag: x: "<y>"

# a comment
Package: a
Version: 2
`

func TestAPackageIndexBecomesRecords(t *testing.T) {
	for key, want := range map[string]string{
		"": `{"Package":"a","Version":"1","Description":"first\nmore\n\nend"}
{"Package":"b","Version":"1","Tag":"x: \"<y>\""}
{"Package":"a","Version":"2"}
`,
		"Package": `{"Package":"a","Version":"2"}
{"Package":"b","Version":"1","Tag":"x: \"<y>\""}
`,
	} {
		var out bytes.Buffer
		written, left, err := Convert(&out, strings.NewReader(index), key)
		if err != nil || written+left != 3 {
			t.Errorf("written %d, left out %d, %v", written, left, err)
		}
		if d := cmp.Diff(want, out.String()); d != "" {
			t.Errorf("key %q: %s", key, d)
		}
	}
}

func TestWhatIsNotAPackageIndexIsRefusedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "standard input: has no paragraphs",
		"Package: a\nno colon\n": "standard input:2:",
		" continued\n":           "standard input:1:",
		"\xfd7zXZ\x00":           "still compressed?",
		"Name: a\n\n":            `standard input:2: the paragraph that ends here has no field "Package"`,
	} {
		var out bytes.Buffer
		_, _, err := Convert(&out, strings.NewReader(text), "Package")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
