package sqlitebackend

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The reference of Update: what a file costs that one appends to and syncs.
func BenchmarkReferenceAppendAndSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	share(b, 1, func(int) error {
		if _, err := f.Write(page); err != nil {
			return err
		}
		return syscall.Fdatasync(int(f.Fd()))
	})
}
