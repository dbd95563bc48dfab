package fault

import (
	"context"
	"time"

	"trihold/bench/fault/damage"
	"trihold/bench/fault/fusefs"
)

// Disk is the file system under the directory of the first member. It needs Needs.Disk.
func (c *Cell) Disk() *fusefs.FS { return c.members[0].disk }

// diskFaults break the disk under programs that know nothing of it.
func diskFaults() []Fault {
	faults := []Fault{
		powerLoss("power-loss", "F26 F27", "the power is cut three times: everything that was not synced is gone", 0),
		powerLoss("power-loss-names", "F26 F27", "the same, and names of files are gone too unless their directory was synced, as POSIX allows", 0),
		powerLoss("power-loss-torn", "F28", "the power is cut three times: of what was not synced half is there, torn and in no order", 0.5),
		{
			Name: "disk-full", Numbers: "F20", About: "the disk is full for a second and a half: what cannot be written is refused, and all goes on by itself when there is space",
			Break: diskFull,
		},
		{
			Name: "power-loss-flip-bit", Numbers: "P6", About: "the power is cut, and a bit of a log flips: it is refused with ErrCorrupt, or nothing is missing", MayRefuse: true, Foreign: foreignDamage,
			Break: func(ctx context.Context, c *Cell) error {
				if err := c.cutPower(0.5); err != nil {
					return err
				}
				files := LogFile
				if c.Subject.Files[files] == nil {
					files = WALFile
				}
				if err := c.members[0].harm(files, damage.FlipBit, ""); err != nil {
					return err
				}
				return c.Start(ctx)
			},
		},
	}
	for i := range faults {
		faults[i].Needs.Disk = true
		if faults[i].Name == "power-loss-names" {
			faults[i].Needs.Names = true
			faults[i].Foreign = map[string]string{"rqlite": "rqlite does not sync the directory of its Raft log; ext4 keeps the name of a file that was synced all the same, other file systems may not"}
		}
		faults[i].Quick = faults[i].Name == "power-loss-torn"
	}
	return faults
}

func powerLoss(name, numbers, about string, keep float64) Fault {
	return Fault{
		Name: name, Numbers: numbers, About: about, Nodes: AnyNodes,
		Break: func(ctx context.Context, c *Cell) error {
			for range 3 {
				if err := c.cutPower(keep); err != nil {
					return err
				}
				if err := c.Start(ctx); err != nil {
					return err
				}
				if err := c.Hold(ctx, c.Between(100*time.Millisecond, 400*time.Millisecond)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// cutPower kills everything and takes the disks back to what was synced. Of the rest
// it keeps a part.
func (c *Cell) cutPower(keep float64) error {
	members := c.running()
	if err := c.Kill(); err != nil {
		return err
	}
	for _, m := range members {
		if err := m.losePower(keep); err != nil {
			return err
		}
	}
	return nil
}

func diskFull(ctx context.Context, c *Cell) error {
	const room = 32 << 10
	c.Disk().SetCapacity(c.Disk().Used() + room)
	err := c.Until(ctx, "the disk is full", func() bool { return c.Disk().Counts().NoSpace > 0 })
	if err == nil {
		err = c.Hold(ctx, 1500*time.Millisecond)
	}
	c.Disk().SetCapacity(0)
	c.Observe(c.Disk().Counts().NoSpace)
	return err
}
