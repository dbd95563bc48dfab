// Package simdisk is a disk in memory that fails as disks fail: it implements
// [vfs.FS], loses what was not synced when the power is cut, returns errors where
// it is told to, and can be damaged at rest.
//
// # The nouns
//
// A [Disk] is directories and files. Of each it knows two states: what programs
// see, and what is durable. Between the two lie the writes that were not synced,
// and the directory entries that were not.
//
// [Disk.PowerCut] is the loss of power: of the unsynced sectors of 512 bytes some
// are kept, some lost, some torn in the middle, in no order; files may be longer
// than what was written to them; unsynced entries of directories appear or not,
// though a rename happens as one. What was open before fails from then on.
//
// A [Rule] makes the N-th operation of a kind fail, or ends with it everything
// that the disk does until the power is cut. [Disk.Damage] does to files at rest
// what time does to them.
//
// # Basics
//
//	disk := simdisk.New(simdisk.Config{Seed: 1})
//	disk.Inject(simdisk.Rule{Op: simdisk.Sync, At: 7, Crash: true})
//	... use the disk until it fails ...
//	disk.PowerCut(rand.New(rand.NewPCG(1, 0)), 0.5)
//	... use it again, and see what is left ...
//
// # What the model is honest about
//
// A file whose content was synced may still have no name: that needs SyncDir of
// the directory, and of the directory above if it is new too. A sync that fails
// leaves the writes that it covered in doubt for good: a later sync does not save
// them, as on Linux, where the pages are marked clean. Space is counted: where
// there is none left, writes that make a file longer fail and others do not.
//
// # Caveats
//
// The disk is deterministic: the same calls in the same order with the same seed
// give the same result. Where a program calls it from several goroutines, the
// order is that of the scheduler. Sectors are torn between two bytes, which real
// disks promise not to do, and a rename never crosses directories.
package simdisk
