// Package simulate puts a store through thousands of power cuts, damages at rest
// and errors of the disk, in one process and on a disk in memory
// ([trihold/internal/simdisk]), and holds what it finds afterwards against what
// the store has acknowledged.
//
// # The nouns
//
// A campaign is one kind of trouble, over and over: [PowerCut], [Damage],
// [Sweep], [IOError]; [Campaigns] lists them. An iteration is one disk with one
// store on it, from empty to the verdict. A [Control] spoils something on purpose:
// the campaign must then fail, or it proves nothing.
//
// # What is held to be true
//
// The clients commit through package repo, and everything that passes between it
// and the store is recorded. After each restart the store must tell, by Changes
// from the beginning on, an order of commits such that: revisions count from 1
// without a gap; every acknowledged commit has the revision that it was
// acknowledged with; no commit is there twice, or was never sent, or was refused;
// what a restart has shown once stays. Those commits are then replayed on a model,
// which looks at the checks of each at its place: so a commit whose reads were
// stale is found too. The rows, their revisions, the indices and the digest must
// be those of the model, and no reader may have seen a revision that is gone.
//
// # Seeds
//
// The seed of an iteration decides what its clients do, what goes wrong and when.
// Iteration i of a campaign with seed s has the seed s+i, so that
//
//	Config{Seed: failure.Seed, Iterations: 1}
//
// does again what failed. It fixes the operations and the schedule of faults, not
// the scheduling of goroutines: which commits share a batch, and whether a
// snapshot is written before or after the next commit, differs from run to run.
// What depends on that needs several attempts. For [Sweep] the seed is a position
// in the sweep.
//
// # Caveats
//
// What was written in the last moments before a power cut and then rots before
// the next start cannot be told from a write that the power cut tore. So Damage
// lets a store that lost its power start once more before the damage, and after
// that start it counts.
package simulate
