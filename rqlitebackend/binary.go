package rqlitebackend

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"trihold/repo/driver"
)

// binaryVariable is the environment variable that names the rqlited to run.
const binaryVariable = "TRIHOLD_RQLITED"

// majorVersion is the version of rqlite that this backend is for. Later ones
// change how data is kept and what the API answers.
const majorVersion = 8

// findBinary returns the path of rqlited: the one that is named, else that in
// TRIHOLD_RQLITED, beside the running program, in bin of the working directory or
// of one above it up to the root of a module, or in $PATH.
func findBinary(named string) (string, error) {
	if named != "" {
		return mustBeThere(named, "parameter binary")
	}
	if named = os.Getenv(binaryVariable); named != "" {
		return mustBeThere(named, binaryVariable)
	}
	var places []string
	if self, err := os.Executable(); err == nil {
		places = append(places, filepath.Dir(self))
	}
	if dir, err := os.Getwd(); err == nil {
		places = append(places, binsAbove(dir)...)
	}
	for _, dir := range places {
		if path := filepath.Join(dir, "rqlited"); executable(path) {
			return path, nil
		}
	}
	if path, err := exec.LookPath("rqlited"); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("there is no rqlited: run make build with a C compiler installed, or name one in parameter binary or in %s (looked in %s and $PATH): %w",
		binaryVariable, strings.Join(places, ", "), driver.ErrUnavailable)
}

// binsAbove returns bin in dir and in the directories above it, up to the one
// with a go.mod. Outside of a module that is only bin in dir.
func binsAbove(dir string) []string {
	first := []string{filepath.Join(dir, "bin")}
	var bins []string
	for {
		bins = append(bins, filepath.Join(dir, "bin"))
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return bins
		}
		above := filepath.Dir(dir)
		if above == dir {
			return first
		}
		dir = above
	}
}

func mustBeThere(path, named string) (string, error) {
	if !executable(path) {
		return "", fmt.Errorf("%s names %s, which is no program; name an rqlited, or leave it out: %w", named, path, driver.ErrInvalid)
	}
	return path, nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// checkBinary runs rqlited -version. It is asked before it touches any data.
func checkBinary(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s -version: %w; name another rqlited in %s: %w", path, err, binaryVariable, driver.ErrInvalid)
	}
	// rqlited v8.43.4 linux amd64 go1.26 sqlite3.50.4 (...); built from the module
	// it says 8 and no more.
	fields := strings.Fields(string(out))
	if len(fields) < 2 || fields[0] != "rqlited" {
		return fmt.Errorf("%s is no rqlited; name one in %s: %w", path, binaryVariable, driver.ErrInvalid)
	}
	return checkVersion(path, fields[1])
}

// checkVersion refuses another major version.
func checkVersion(subject, version string) error {
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return fmt.Errorf("%s has version %q, which says nothing; this backend needs v%d: %w", subject, version, majorVersion, driver.ErrInvalid)
	}
	if n != majorVersion {
		return fmt.Errorf("%s is rqlite %s, and this backend needs v%d: %w", subject, version, majorVersion, driver.ErrInvalid)
	}
	return nil
}
