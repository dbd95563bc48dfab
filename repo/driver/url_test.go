package driver

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStoreURLsAreParsed(t *testing.T) {
	for _, c := range []struct {
		raw, scheme, path, printed string
		hosts                      []string
	}{
		{"inmem:data?class=disk", "inmem", "data", "inmem:data", nil},
		{"inmem:?class=memory", "inmem", "", "inmem:", nil},
		{"sqlite:/var/lib/app.db", "sqlite", "/var/lib/app.db", "sqlite:/var/lib/app.db", nil},
		{"sqlite:///var/lib/app.db", "sqlite", "/var/lib/app.db", "sqlite:/var/lib/app.db", nil},
		{"rqlite://host:4001", "rqlite", "", "rqlite://host:4001", []string{"host:4001"}},
		{"rqlite://u:p%40ss@h1:4001,h2:4001", "rqlite", "", "rqlite://u@h1:4001,h2:4001", []string{"h1:4001", "h2:4001"}},
	} {
		u, err := ParseURL(c.raw)
		if err != nil {
			t.Errorf("%s: %v", c.raw, err)
			continue
		}
		if u.Scheme != c.scheme || u.Path != c.path || !cmp.Equal(u.Hosts, c.hosts) || u.String() != c.printed {
			t.Errorf("%s: got scheme %q, path %q, hosts %q, printed as %s", c.raw, u.Scheme, u.Path, u.Hosts, u)
		}
	}
	for _, bad := range []string{"", "data", ":data", "rqlite://h1,,h2", "rqlite://u:%zz@h", "inmem:x?a=%zz"} {
		if u, err := ParseURL(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, %v", bad, u, err)
		}
	}
}

func TestAPasswordIsNeverPrinted(t *testing.T) {
	u, err := ParseURL("rqlite://u:secret@h:1?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	if password, _ := u.User.Password(); password != "secret" {
		t.Errorf("password is %q", password)
	}
	if strings.Contains(u.String(), "secret") {
		t.Errorf("printed as %s", u)
	}
	if _, err := Open(context.Background(), "none://u:secret@h:1"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownAndMalformedParametersAreErrorsInOneLine(t *testing.T) {
	u, err := ParseURL("inmem:x?class=disk&n=many&on=1&wait=2s&typo=1&twice=1&twice=2")
	if err != nil {
		t.Fatal(err)
	}
	p := &u.Params
	if p.String("class", "") != "disk" || !p.Bool("on", false) || p.Duration("wait", 0) != 2*time.Second || p.Int("size", 7) != 7 {
		t.Error("parameters were not read, or defaults not used")
	}
	p.Int("n", 0)
	p.String("twice", "")
	err = p.Err()
	if !errors.Is(err, ErrInvalid) {
		t.Fatalf("error %v", err)
	}
	want := `invalid: parameter n="many" is not a whole number; parameter twice is given 2 times; unknown parameter "typo"; known: class, n, on, size, twice, wait`
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}
