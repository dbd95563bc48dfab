//go:build mutants

package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// attempts is how often a mutant may slip through: some need the right order of
// goroutines.
const attempts = 3

func TestEveryMutantIsCaught(t *testing.T) {
	catch(t, "./bench/fault/mutants/victim", All(), "-rapid.nofailfile", "-rapid.shrinktime=100ms")
}

func TestEveryMutantOfTheClusterIsCaught(t *testing.T) {
	catch(t, "./bench/fault/mutants/cluster", Cluster())
}

// What Raft itself keeps from happening, all but always, no process can be made to show.
func TestEveryMutantOfAReplicaIsCaught(t *testing.T) {
	catch(t, "./inmem", Replica(), "-test.run=TestAnEntry|TestALeaderShows")
}

// catch expects the tests of a package to fail with each of some mutants, and to pass
// without. Further arguments are for those tests.
func catch(t *testing.T, victim string, mutants []Mutant, args ...string) {
	if caught, out := run(t, build(t, victim, Mutant{Name: "none"}), args); caught != "" {
		t.Fatalf("the store as it is fails %s:\n%s", caught, out)
	}
	for _, m := range mutants {
		t.Run(m.Name, func(t *testing.T) {
			began := time.Now()
			program := build(t, victim, m)
			for range attempts {
				if caught, out := run(t, program, args); caught != "" {
					t.Logf("caught by %s after %.1fs (%s)\n%s", caught, time.Since(began).Seconds(), m.Why, first(out))
					return
				}
			}
			t.Errorf("nobody notices, in %d attempts: %s", attempts, m.Why)
		})
	}
}

// build builds the tests of a package with a mutant.
func build(t *testing.T, victim string, m Mutant) string {
	t.Helper()
	root, dir := root(t), t.TempDir()
	files, err := m.Apply(root)
	if err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, text := range files {
		to := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, filepath.FromSlash(name))] = to
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "victim")
	cmd := exec.Command("go", "test", "-tags", "mutants", "-c", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, victim)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// run runs a victim and returns the test that failed, or empty.
func run(t *testing.T, program string, args []string) (caught, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "-test.failfast", "-test.short", "-test.timeout=200s")...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", string(out)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("run the victim: %v", err)
	}
	switch all := failedTest.FindAllStringSubmatch(string(out), -1); {
	case strings.Contains(string(out), "panic: test timed out"):
		return "a timeout", string(out)
	case len(all) > 0:
		return all[len(all)-1][1], string(out) // the innermost comes last
	}
	return "a panic", string(out)
}

// first returns the first lines of what a victim printed that say something.
func first(out string) string {
	var some []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "---") || strings.TrimSpace(line) == "" {
			continue
		}
		if some = append(some, strings.TrimRight(line, "\n")); len(some) == 3 {
			break
		}
	}
	return strings.Join(some, "\n")
}
