package targets

const migration = "migration"

var migrationRows = []Row{
	{Backend: migration, Figure: "backfill rows/s into sqlite / bare bulk insert of the same rows", Target: ">= 0.7", Reference: "raw: bulk insert through modernc.org/sqlite"},
	{Backend: migration, Figure: "writes paused at cutover, 1k writes/s running, 1M rows", Target: "<= 100 ms, and no write fails", Reference: "none"},
	{Backend: migration, Figure: "foreground p99 while migrating, throttled / before", Target: "<= 1.2", Reference: "p99 before"},
	{Backend: migration, Figure: "extra memory while migrating", Target: "<= 64 MB + what the target itself needs", Reference: "memory before"},
	{Backend: migration, Figure: "random kills around the cutover with two accepted histories or a lost commit", Target: "0 of 1,000", Reference: "none"},
}
