package fusefs

import (
	"bufio"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// patience is how long something that must happen may take on a busy machine.
const patience = 30 * time.Second

// victimVar is set in the environment of a process that is a victim: what it is to
// do. Its arguments are the test binary's.
const victimVar = "TRIHOLD_VICTIM"

func TestMain(m *testing.M) {
	what := os.Getenv(victimVar)
	if what == "" {
		os.Exit(m.Run())
	}
	if err := victims[what](os.Args[1:]); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// victims print a line for what was done: a number for what is now durable.
var victims = map[string]func(args []string) error{
	"append":      func(args []string) error { return appendForever(args[0], true) },
	"append-lazy": func(args []string) error { return appendForever(args[0], false) },
	"sqlite":      func(args []string) error { return insertForever(args[0], args[1]) },
	"check":       func(args []string) error { return countRows(args[0]) },
	"mount":       func(args []string) error { return mountAndHang(args[0], args[1]) },
	"open":        func(args []string) error { return openAndHang(args[0]) },
	"all":         func(args []string) error { return mountAndUnmount(args[0], args[1]) },
}

const recordSize = 64

// A record holds its number and a checksum.
func record(n uint64) []byte {
	b := make([]byte, recordSize)
	binary.LittleEndian.PutUint64(b, n)
	binary.LittleEndian.PutUint32(b[recordSize-4:], crc32.ChecksumIEEE(b[:recordSize-4]))
	return b
}

func appendForever(dir string, sync bool) error {
	file, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	for n := uint64(info.Size()/recordSize) + 1; ; n++ {
		if _, err := file.Write(record(n)); err != nil {
			return err
		}
		if sync {
			if err := file.Sync(); err != nil {
				return err
			}
		}
		fmt.Println(n)
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readRecords returns how many records a log has up to the first that is not as it
// was written, and how many wrong ones in all.
func readRecords(t *testing.T, dir string) (good, wrong int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(b); i += recordSize {
		if string(b[i:min(i+recordSize, len(b))]) != string(record(uint64(i/recordSize+1))) {
			wrong++
		} else if wrong == 0 {
			good++
		}
	}
	return good, wrong
}

func openDB(dir, synchronous string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous("+synchronous+")")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func insertForever(dir, synchronous string) error {
	db, err := openDB(dir, synchronous)
	if err != nil {
		return err
	}
	if _, err := db.Exec("create table if not exists t (id integer primary key, v blob)"); err != nil {
		return err
	}
	var n int64
	if err := db.QueryRow("select coalesce(max(id), 0) from t").Scan(&n); err != nil {
		return err
	}
	for n++; ; n++ {
		if _, err := db.Exec("insert into t values (?, randomblob(100))", n); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// countRows prints how many of the rows 1, 2, 3 ... are there.
func countRows(dir string) error {
	db, err := openDB(dir, "FULL")
	if err != nil {
		return err
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRow("pragma integrity_check").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("integrity_check: %s", verdict)
	}
	var count, last int
	if err := db.QueryRow("select count(*), coalesce(max(id), 0) from t").Scan(&count, &last); err != nil {
		return err
	}
	if count != last {
		return fmt.Errorf("%d rows, the last one is %d", count, last)
	}
	if _, err := os.Stat(filepath.Join(dir, "db-shm")); err != nil {
		return fmt.Errorf("SQLite works without its mapped file: %w", err)
	}
	fmt.Println(count)
	return nil
}

func mountAndHang(back, dir string) error {
	if _, err := Mount(Config{Back: back, Mountpoint: dir}); err != nil {
		return err
	}
	fmt.Println(1)
	select {}
}

func openAndHang(name string) error {
	if _, err := os.Open(name); err != nil {
		return err
	}
	fmt.Println(1)
	select {}
}

func mountAndUnmount(back, dir string) error {
	if err := Available(); err != nil {
		return err
	}
	f, err := Mount(Config{Back: back, Mountpoint: dir})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o644); err != nil {
		return err
	}
	if err := f.Unmount(); err != nil {
		return err
	}
	fmt.Println(1)
	return nil
}

// A victim is a process that is to be killed.
type victim struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string // closed at its end
}

func startVictim(t *testing.T, attr *syscall.SysProcAttr, what string, args ...string) *victim {
	t.Helper()
	v := &victim{t, exec.Command("/proc/self/exe", args...), make(chan string, 1<<20)}
	v.cmd.Env = append(os.Environ(), victimVar+"="+what)
	v.cmd.Stderr = os.Stderr
	v.cmd.SysProcAttr = attr
	out, err := v.cmd.StdoutPipe()
	if err == nil {
		err = v.cmd.Start()
	}
	if err != nil {
		t.Fatalf("start victim: %v", err)
	}
	go func() {
		defer close(v.lines)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return // what the kill cut off does not count
			}
			v.lines <- line[:len(line)-1]
		}
	}()
	t.Cleanup(func() {
		if v.cmd.ProcessState == nil {
			v.kill()
		}
	})
	return v
}

// acked reads lines until the number n was printed.
func (v *victim) acked(n int) {
	v.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-v.lines:
			if !ok {
				v.t.Fatalf("the victim has ended before it printed %d", n)
			}
			got, err := strconv.Atoi(line)
			if err != nil {
				v.t.Fatalf("the victim printed %q", line)
			}
			if got >= n {
				return
			}
		case <-timeout:
			v.t.Fatalf("the victim has not printed %d", n)
		}
	}
}

// end reads lines until the victim has ended, and returns the last number and what
// it said if it failed.
func (v *victim) end() (last int, failure string) {
	v.t.Helper()
	stop := time.AfterFunc(patience, func() { _ = v.cmd.Process.Kill() })
	defer stop.Stop()
	for line := range v.lines {
		if n, err := strconv.Atoi(line); err == nil {
			last = n
		} else {
			failure = line
		}
	}
	_ = v.cmd.Wait()
	return last, failure
}

// kill ends the victim as kill -9 does, and returns the last number it printed.
func (v *victim) kill() int {
	v.t.Helper()
	_ = v.cmd.Process.Kill()
	last, _ := v.end()
	return last
}
