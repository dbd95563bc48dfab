package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// An Info describes a machine.
type Info struct {
	OS         string            `json:"os"`
	Arch       string            `json:"arch"`
	Kernel     string            `json:"kernel"`
	CPU        string            `json:"cpu"`
	Cores      int               `json:"cores"`
	MemoryMiB  int64             `json:"memory_mib"`
	Load1      float64           `json:"load_1min"` // before the run
	Dir        string            `json:"dir"`
	Filesystem string            `json:"filesystem"` // of Dir, with its mount options
	Go         string            `json:"go"`
	Env        map[string]string `json:"env,omitempty"` // what tunes the Go runtime
	Caveats    []string          `json:"caveats,omitempty"`

	Calibration Calibration `json:"calibration"`
}

// Describe returns the machine as it is now. dir is where the stores will be.
func Describe(dir string) (Info, error) {
	i := Info{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Dir: dir, Go: runtime.Version(), Env: map[string]string{}}
	for _, name := range []string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"} {
		if v, set := os.LookupEnv(name); set {
			i.Env[name] = v
		}
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return i, fmt.Errorf("ask for the kernel: %w", err)
	}
	i.Kernel = unix.ByteSliceToString(u.Release[:])
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return i, err
	}
	if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 {
		i.CPU = cpus[0].ModelName
	}
	if m, err := fs.Meminfo(); err == nil && m.MemTotal != nil {
		i.MemoryMiB = int64(*m.MemTotal >> 10)
	}
	if l, err := fs.LoadAvg(); err == nil {
		i.Load1 = l.Load1
	}
	kind, options, err := filesystem(dir)
	if err != nil {
		return i, err
	}
	i.Filesystem = kind + " (" + options + ")"
	if kind == "tmpfs" || kind == "ramfs" {
		i.Caveats = append(i.Caveats, fmt.Sprintf("%s lies in memory (%s), where fsync costs nothing: name a directory on a disk with --dir", dir, kind))
	}
	if i.Load1 > 0.5*float64(i.Cores) {
		i.Caveats = append(i.Caveats, fmt.Sprintf("the machine was busy before the run: load %.1f on %d cores", i.Load1, i.Cores))
	}
	return i, nil
}

// filesystem returns the type and the options of the mount that holds dir.
func filesystem(dir string) (kind, options string, err error) {
	dir, err = filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", "", fmt.Errorf("find the filesystem: %w", err)
	}
	mounts, err := procfs.GetMounts()
	if err != nil {
		return "", "", fmt.Errorf("list mounts: %w", err)
	}
	longest := -1
	for _, m := range mounts {
		at := strings.TrimSuffix(m.MountPoint, "/") + "/"
		if strings.HasPrefix(dir+"/", at) && len(at) >= longest { // a later mount covers an earlier one
			longest = len(at)
			kind, options = m.FSType, joinOptions(m.Options, m.SuperOptions)
		}
	}
	return kind, options, nil
}

func joinOptions(maps ...map[string]string) string {
	var out []string
	for _, name := range []string{"rw", "ro", "sync", "noatime", "relatime", "barrier", "nobarrier", "data", "discard", "errors", "commit"} {
		for _, m := range maps {
			if v, ok := m[name]; ok {
				if v != "" {
					name += "=" + v
				}
				out = append(out, name)
				break
			}
		}
	}
	return strings.Join(out, ",")
}

// Modules returns the versions of the modules that this program was built from,
// by path.
func Modules() map[string]string {
	out := map[string]string{}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	for _, m := range b.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		out[m.Path] = m.Version
	}
	return out
}

// Build returns the version of this program, and the revision of its source.
func Build() (version, revision string) {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", ""
	}
	version = b.Main.Version
	dirty := ""
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	if revision != "" {
		revision += dirty
	}
	return version, revision
}
