package damage

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// spare is added to the name of a file while it is being exchanged.
const spare = ".damage"

// swap exchanges a file with another one that has not the same content.
func (a *applier) swap(i int, info fs.FileInfo) (Done, error) {
	name := a.files[i]
	for _, j := range a.rng.Perm(len(a.files)) {
		other := a.files[j]
		if other == name {
			continue
		}
		otherInfo, err := a.root.Lstat(other)
		if err != nil {
			return Done{}, err
		}
		if !otherInfo.Mode().IsRegular() {
			continue
		}
		differ, err := compare(a.root, name, a.root, other)
		if err != nil {
			return Done{}, err
		}
		if differ == 0 {
			continue
		}
		err = a.exchange(name, other)
		if err == nil {
			err = errors.Join(keep(a.root, name, info), keep(a.root, other, otherInfo))
		}
		return Done{Other: other, Length: max(info.Size(), otherInfo.Size()), Differ: differ}, err
	}
	return Done{}, ErrNothing
}

func (a *applier) exchange(name, other string) error {
	if _, err := a.root.Lstat(name + spare); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is in the way: %w", name+spare, errors.Join(err, fs.ErrExist))
	}
	if err := a.root.Rename(name, name+spare); err != nil {
		return err
	}
	if err := a.root.Rename(other, name); err != nil {
		return err
	}
	return a.root.Rename(name+spare, other)
}

// replace puts an earlier version in the place of a file.
func (a *applier) replace(name string, info fs.FileInfo) (Done, error) {
	if a.Old == "" {
		return Done{}, errors.New("the target has no older copy")
	}
	old, err := os.OpenRoot(a.Old)
	if err != nil {
		return Done{}, err
	}
	defer old.Close()
	oldInfo, err := old.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !oldInfo.Mode().IsRegular() {
		return Done{}, ErrNothing // it is younger than the copy
	}
	if err != nil {
		return Done{}, err
	}
	differ, err := compare(a.root, name, old, name)
	if err != nil {
		return Done{}, err
	}
	if differ == 0 {
		return Done{}, ErrNothing
	}
	if err := copyFile(old, name, a.root, name+spare); err != nil {
		return Done{}, err
	}
	if err := a.root.Rename(name+spare, name); err != nil {
		return Done{}, err
	}
	return Done{Length: info.Size(), Differ: differ}, keep(a.root, name, info)
}

// copyFile copies the content of a file to a new one.
func copyFile(from *os.Root, name string, to *os.Root, newName string) error {
	r, err := from.Open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := to.OpenFile(newName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// compare counts the bytes in which two files differ, as differ does.
func compare(rootA *os.Root, nameA string, rootB *os.Root, nameB string) (n int64, err error) {
	a, err := rootA.Open(nameA)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	b, err := rootB.Open(nameB)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	const step = 1 << 16
	readerA, readerB := bufio.NewReaderSize(a, step), bufio.NewReaderSize(b, step)
	for {
		pieceA, errA := next(readerA, step)
		pieceB, errB := next(readerB, step)
		if err := errors.Join(errA, errB); err != nil {
			return 0, err
		}
		if len(pieceA) == 0 && len(pieceB) == 0 {
			return n, nil
		}
		n += differ(pieceA, pieceB)
		// Both pieces are full, unless a file has ended: then the rest of the other
		// is compared with nothing.
		_, errA = readerA.Discard(len(pieceA))
		_, errB = readerB.Discard(len(pieceB))
		if err := errors.Join(errA, errB); err != nil {
			return 0, err
		}
	}
}

// next returns the next n bytes, or what there is.
func next(r *bufio.Reader, n int) ([]byte, error) {
	b, err := r.Peek(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}
