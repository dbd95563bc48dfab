package corruption

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"trihold/bench/fault/simulate"
	"trihold/internal/anatomy"
	"trihold/internal/simdisk"
	"trihold/internal/vfs"
	"trihold/repo"
	"trihold/repo/driver"
)

// dir is where the store lies.
const dir = "/srv/data/store"

// A thing is the row of an image.
type thing struct {
	ID    int64      `db:"id"`
	Code  *int64     `db:"code"` // unique
	Group int64      `db:"group_id"`
	Data  repo.Bytes `db:"data"`
}

var (
	things        = repo.NewTable("thing", func(t *thing) *int64 { return &t.ID })
	thingsByCode  = repo.NewUnique1(things, func(t *thing) **int64 { return &t.Code })
	thingsByGroup = repo.NewIndex1(things, func(t *thing) *int64 { return &t.Group })
	schema        = repo.NewSchema(things, thingsByCode, thingsByGroup)
)

// An image is a store at rest and what it holds.
type image struct {
	ends string // how its process ended
	seed uint64
	disk *simdisk.Disk
	want content
}

// A builder makes the images of one seed.
type builder struct {
	open  simulate.Open
	seed  uint64
	rng   *rand.Rand
	disk  *simdisk.Disk
	acked driver.Rev
}

// build returns images of one store at three ends of its life.
func build(ctx context.Context, open simulate.Open, seed uint64) ([]*image, error) {
	b := &builder{open: open, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), disk: simdisk.New(simdisk.Config{Seed: seed, Versions: 4})}
	images, err := b.build(ctx)
	if err != nil {
		return nil, fmt.Errorf("build images with seed %d: %w", seed, err)
	}
	return images, nil
}

func (b *builder) build(ctx context.Context) ([]*image, error) {
	for range 1 + b.rng.IntN(2) {
		if err := b.live(ctx); err != nil {
			return nil, err
		}
	}
	s, err := b.start(ctx, b.disk)
	if err != nil {
		return nil, err
	}
	err = b.work(ctx, s, 20+b.rng.IntN(80))
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	killed, err := b.image(ctx, "killed", s, b.disk.Clone())
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		return nil, err
	}
	closed := &image{ends: "closed", seed: b.seed, disk: b.disk.Clone(), want: killed.want}
	images := []*image{killed, closed}
	torn, err := b.tear(ctx, killed)
	if torn != nil {
		images = append(images, torn)
	}
	return images, err
}

// image returns an image of an open store.
func (b *builder) image(ctx context.Context, ends string, s *repo.Store, disk *simdisk.Disk) (*image, error) {
	want, err := contentOf(ctx, s.Driver(), schema.Driver())
	if err == nil && want.rev != b.acked {
		err = fmt.Errorf("the store is at revision %d, the last acknowledged one is %d", want.rev, b.acked)
	}
	return &image{ends, b.seed, disk, want}, err
}

// live is one life of the store, which ends in one of several ways.
func (b *builder) live(ctx context.Context) error {
	s, err := b.start(ctx, b.disk)
	if err != nil {
		return err
	}
	if err := b.work(ctx, s, 20+b.rng.IntN(60)); err != nil {
		return errors.Join(err, s.Close())
	}
	switch b.rng.IntN(3) {
	case 0:
		return s.Close()
	case 1:
		b.disk.Crash()
		_ = s.Close() // the power is gone
		b.disk.PowerCut(b.rng, 0.5)
	default:
		b.disk.Kill()
		_ = s.Close() // so is the process
	}
	return nil
}

func (b *builder) start(ctx context.Context, disk *simdisk.Disk) (*repo.Store, error) {
	d, err := b.open(ctx, disk, dir)
	if err != nil {
		return nil, err
	}
	s, err := repo.New(ctx, d, schema)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return s, nil
}

// work commits n times, and takes note of what was acknowledged.
func (b *builder) work(ctx context.Context, s *repo.Store, n int) error {
	for range n {
		err := s.Update(ctx, func(tx *repo.Tx) error {
			for range 1 + b.rng.IntN(4) {
				id := b.rng.Int64N(200)
				if b.rng.IntN(4) == 0 {
					if err := things.Delete(tx, id); err != nil {
						return err
					}
					continue
				}
				if err := things.Put(tx, thing{ID: id, Code: &id, Group: id % 7, Data: repo.Bytes(b.data())}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	status, err := s.Status(ctx)
	b.acked = status.Rev
	return err
}

// data returns the bytes of a row, sometimes of several blocks of a disk.
func (b *builder) data() []byte {
	size := b.rng.IntN(200)
	if b.rng.IntN(20) == 0 {
		size = 4000 + b.rng.IntN(6000)
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(b.rng.IntN(256))
	}
	return data
}

// tear returns the image with one more log entry written to the end by half, as a
// crash leaves it, or nil if the entry went into another segment.
func (b *builder) tear(ctx context.Context, from *image) (*image, error) {
	later := from.disk.Clone()
	s, err := b.start(ctx, later)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(b.work(ctx, s, 1), s.Close()); err != nil {
		return nil, err
	}
	name := lastSegment(from.disk.Files())
	before, err := vfs.ReadFile(from.disk, name)
	if err != nil {
		return nil, err
	}
	after, err := vfs.ReadFile(later, name)
	if err != nil {
		return nil, err
	}
	at := usedBy(name, before)
	if len(after) < at+28 || !bytes.HasPrefix(after[at:], []byte("ENT2")) {
		return nil, nil
	}
	written := 1 + b.rng.IntN(28+int(binary.LittleEndian.Uint32(after[at+4:]))-1)
	copy(before[at:], after[at:at+written])
	torn := from.disk.Clone()
	err = torn.Overwrite(name, before)
	for _, name := range torn.Files() {
		if anatomy.Kind(name) != "hard state" {
			continue
		}
		// A member writes the term of an entry down before the entry.
		state, readErr := vfs.ReadFile(later, name)
		err = errors.Join(err, readErr, torn.Overwrite(name, state))
	}
	return &image{"torn", b.seed, torn, from.want}, err
}

// lastSegment returns the name of the log segment that was written last.
func lastSegment(files []string) (last string) {
	for _, name := range files { // sorted
		if anatomy.Kind(name) == "log segment" {
			last = name
		}
	}
	return last
}

// usedBy returns where the zeros at the end of a file begin, as a log has it.
func usedBy(name string, content []byte) int {
	parts := anatomy.Parts(name, content)
	if last := parts[len(parts)-1]; last.Name == "zero space" {
		return last.From
	}
	return len(content)
}
