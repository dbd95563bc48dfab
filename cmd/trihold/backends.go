package main

// The backends that this program can open.
import (
	_ "trihold/inmem"
	_ "trihold/repo/migrate"
	_ "trihold/rqlitebackend"
	_ "trihold/sqlitebackend"
)
