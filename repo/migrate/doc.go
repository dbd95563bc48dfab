// Package migrate moves a store from one backend to another while a program uses it,
// proves that nothing was lost, and moves it back if that is wanted.
//
// # The nouns
//
// A [Live] is a store that can be moved: a driver.Store, opened by a URL such as
// live:inmem:data?admin=app.sock, that passes everything on to the store where the
// data is. A [Migration] is one move, from a source to a target. Of the two one is
// live, and the other follows it: first the target follows the source, and after the
// cutover the source follows the target, so that a rollback is the same thing
// backwards. A [Record] is what each of the two stores remembers about it, and the
// fence (driver.Fence) keeps whichever is not live from accepting commits. A
// [Command] is what can be asked of the program, over the Unix socket that admin
// names, or by Live.Do. A [Plan] says what would happen, a [Status] what does, and a
// [Certificate] what has, with the proof.
//
// # How it moves
//
// The source's commits are followed from the first moment, and its rows are copied in
// ranges of the primary key meanwhile. Rows keep the revisions that wrote them, and
// commits their revisions and IDs, so that to a program the target is the same store:
// a transaction that has read in the one can commit in the other, a commit that is
// sent again is recognised, and a reader of Changes goes on where it was.
//
// Both sides are then compared range by range, each range at one and the same
// revision; what is written later is compared row by row as it arrives. At the
// cutover one commit puts up the fence, what is behind it is brought over, the
// digests of both sides are compared, the source is closed, and the target opened. The
// program's writes wait meanwhile, and its reads go on.
//
// # What can be relied on
//
// At no moment do two stores accept commits. A process that is killed at any point
// leaves stores that say how far it was: opening the program again with the same
// configuration goes on, or undoes a cutover that was not decided. A follower refuses
// to be read as if it were the store.
//
// # Caveats
//
// The target must be empty. Changes of the target begin where the migration did. The
// program that runs a migration must be able to open both stores: it imports both
// backends. If other programs use the source, which only a networked backend allows,
// they follow by themselves if they have opened it as live, and meet ErrMoved if they
// have not. A name that is written into a store, such as that of the target, holds no
// secret: a store whose URL does is named by trihold.yaml.
package migrate
