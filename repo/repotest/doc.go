// Package repotest is the executable form of the contract: a suite that every
// backend passes, and the tools it is made of.
//
// # The nouns
//
// [Conformance] runs the suite: cases in groups, each of them a sentence of the
// contract, on the stores that a [Harness] opens. A [Model] is a driver.Store
// that is meant to be obviously right. A [History] is a random sequence of
// transactions, and a [Transcript] what a store answered to it; two stores are
// interchangeable if no history tells them apart. [Verify] checks that a store
// is consistent in itself. [Crash] kills a process that writes, again and again,
// and checks what is left.
//
// # For the author of a backend
//
// Write one test, called TestConformance so that one -run shows every backend:
//
//	func TestConformance(t *testing.T) {
//		repotest.Conformance(t, repotest.Harness{
//			Open: func(t testing.TB, dir string) driver.Store {
//				s, err := mybackend.Open(filepath.Join(dir, "data"))
//				if err != nil {
//					t.Fatal(err)
//				}
//				return s
//			},
//		})
//	}
//
// Open opens the store with the durability that it has by default; there is no
// shorter way through the suite for a weaker one. Then work through the groups
// in their order, one at a time:
//
//	go test -run Conformance/reads
//
// A failing case prints its sentence and why it matters. What the groups are
// about:
//
//	reads, writes, spans, pages   rows and walks, read-your-writes, cursors
//	unique                        judged on the result of the whole commit
//	isolation, conflicts          by anomaly; what must conflict, and what must not
//	revisions, changes, digest    the order of commits, and what is told of them
//	types, values, limits         what a row may hold, exactly, up to which size
//	errors, stale, context        how things end
//	histories                     random ones against the model, concurrent ones
//	                              against linearisability
//	moving                        fences, loads, and stores without a schema
//	reopen, close                 what is there after a restart, and after the end
//
// Most cases go through package repo, because that is what users meet. Where the
// contract of package driver has its own words they use a driver.Store.
//
// A backend that cannot pass a case names it in Harness.Except with the reason,
// and the run prints it. So far none does.
//
// # Repeating a random test
//
// Random histories come from rapid, which prints the smallest failing one and
// the flags that repeat it. Whatever else is random prints a seed, which the
// environment variable TRIHOLD_SEED repeats.
//
// # Caveats
//
// The cases of one Conformance share a store and run one after another: some of
// them count revisions. A backend that deadlocks ends a case by its context,
// after a minute and a half at most, and only if it listens to it.
//
// Concurrency is tested by running into it. A case that passes once has proved
// less than one that fails once; the tests of this package show that the faults
// they know of are noticed every time.
package repotest
