package sqlstmt

// Texts over the row of _trihold_state that is the fence.
const (
	// FenceGet: the fence as JSON.
	FenceGet = `SELECT "value" FROM "_trihold_state" WHERE "name" = 'fence'`
	// FenceLift takes the fence out of the way of changes that are to be recorded
	// behind it, and FenceLower puts it back, at the latest revision or beyond.
	// Both belong to one transaction.
	FenceLift  = `UPDATE "_trihold_state" SET "name" = 'fence, lifted' WHERE "name" = 'fence'`
	FenceLower = `UPDATE "_trihold_state" SET "name" = 'fence', "_rev" = max("_rev", (SELECT coalesce(max("rev"), 0) FROM "_trihold_changes")) WHERE "name" = 'fence, lifted'`
	// RevOrClosed is an expression: the latest revision, or -1 if the fence has
	// closed the store.
	RevOrClosed = `iif(EXISTS (SELECT 1 FROM "_trihold_state" WHERE "name" = 'fence' AND "value" ->> 'closed'), -1, coalesce((SELECT max("rev") FROM "_trihold_changes"), 0))`
)

// Guards of a load.
const (
	// continuesGuard: the first revision of the changes. In an empty store the
	// comparison is NULL, and holds.
	continuesGuard = `INSERT INTO "_trihold_load" SELECT 1 WHERE ? <> (SELECT max("rev") + 1 FROM "_trihold_changes")`
	fencedGuard    = `INSERT INTO "_trihold_load" SELECT 2 WHERE NOT EXISTS (SELECT 1 FROM "_trihold_state" WHERE "name" = 'fence')`
)
