// Package steps stops a migration exactly where a test wants to break it, and breaks
// some of its promises on purpose.
//
// # The nouns
//
// A [Step] is something that a migration does to a store: mostly a write of what the
// store remembers about it, and so a moment before and after which a process that is
// killed leaves a different state. A [Rule] says what is to happen at one of them. A
// store whose URL begins with stepped:, as in stepped:sqlite:app.db, is the store
// behind that, watched.
//
// # Caveats
//
// A process has one rule at a time, for all of its stores. With the parameter
// closed=read a store can be read that a fence has closed: for looking at a follower
// after everybody has left.
package steps
