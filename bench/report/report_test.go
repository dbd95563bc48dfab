package report

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trihold/bench/result"
)

var update = flag.Bool("update", false, "write the golden files")

func sample(t *testing.T) *result.File {
	t.Helper()
	f, err := result.Read("../result/testdata/schema1.json")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func checkGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Error(d)
	}
}

func TestTheTable(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, sample(t)); err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "testdata/table.txt", b.Bytes())
}

func TestTheReport(t *testing.T) {
	var b bytes.Buffer
	if err := HTML(&b, sample(t)); err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "testdata/report.html", b.Bytes())
}

func TestTheReportNeedsNothingElse(t *testing.T) {
	var b bytes.Buffer
	if err := HTML(&b, sample(t)); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, bad := range []string{"<script", "<link", "src=", "@import", "url("} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	if b.Len() > 3<<20 {
		t.Errorf("the page has %d bytes", b.Len())
	}
}

func TestASubjectThatFailedHasNoNumbers(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, sample(t)); err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(b.String(), "ycsb-c   ")
	for line := range strings.Lines(block) {
		if strings.Contains(line, "inmem/disk") {
			if strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "inmem/disk")) != "no numbers" {
				t.Errorf("got %q", line)
			}
			return
		}
	}
	t.Error("the subject is not in the table")
}

func TestUnitsHaveThreeDigits(t *testing.T) {
	for want, got := range map[string]string{
		"-": Duration(0), "999 ns": Duration(999), "1.00 us": Duration(1000), "12.3 us": Duration(12345), "999 us": Duration(999_400), "1.00 ms": Duration(999_600),
		"1.50 s": Duration(1500 * time.Millisecond), "120 s": Duration(2 * time.Minute),
		"1.50 KiB": Bytes(1536), "20.0 MiB": Bytes(20 << 20), "1.25 GiB": Bytes(5 << 28),
		"1,234,568": Count(1234567.8), "123": Count(123), "-1,000": Count(-1000), "45.3": Rate(45.31),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
