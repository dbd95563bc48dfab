package mutants

// All returns the mutants of a store of one node.
func All() []Mutant {
	var all []Mutant
	for _, group := range [][]Mutant{durability(), recovery(), detection(), transactions(), memory()} {
		all = append(all, group...)
	}
	return all
}

// durability is about what happens before a commit is acknowledged.
func durability() []Mutant {
	return []Mutant{
		{"acknowledge-before-sync", "a loss of power takes acknowledged commits away", []Edit{{
			File: "internal/wal/log.go",
			Old:  "if err == nil && !l.c.NoSync {\n\t\terr = s.file.Sync()",
			New:  "if false {\n\t\terr = s.file.Sync()",
		}}},
		{"publish-before-durable", "readers see what a loss of power then takes back", []Edit{{
			File: "inmem/flusher.go",
			Old:  "	err := s.persist(b)\n",
			New:  "	if b.root != nil {\n\t\ts.published.Store(b.root)\n\t}\n\terr := s.persist(b)\n",
		}}},
		{"acknowledge-the-unknown", "a commit whose sync failed is acknowledged", []Edit{{
			File: "inmem/flusher.go",
			Old:  "	err := s.persist(b)\n",
			New:  "	err := s.persist(b)\n\tif errors.Is(err, driver.ErrUncertain) {\n\t\terr = nil\n\t}\n",
		}}},
		{"believe-a-sync-after-a-failed-one", "the disk has dropped what the failed sync covered", []Edit{
			{
				File: "internal/wal/log.go",
				Old:  "	l.failed = fmt.Errorf(\"write log: %w\", err)\n\treturn l.failed",
				New:  "	return fmt.Errorf(\"write log: %w\", err)",
			},
			{
				File: "inmem/flusher.go",
				Old:  "			s.stop(err)\n\t\t}\n\t\treturn err",
				New:  "			_ = s.stop\n\t\t}\n\t\treturn err",
			},
		}},
		{"rename-an-unsynced-snapshot", "after a loss of power the snapshot is torn, and the log behind it is gone", []Edit{{
			File: "inmem/snapfile.go",
			Old:  "		err = f.Sync()\n",
			New:  "		err = nil\n",
		}}},
		{"install-without-syncing-the-directory", "a whole log file has no name after a loss of power", []Edit{{
			File: "internal/wal/spare.go",
			Old:  "	return l.c.FS.SyncDir(l.c.Dir)",
			New:  "	return nil",
		}}},
		{"keep-what-a-failed-batch-did", "commits that were refused are part of the next ones", []Edit{{
			File: "inmem/committer.go",
			Old:  "		c.tenure, c.work, c.inFlight, c.n = t, thaw(root), overlay{}, 0\n",
			New:  "		if c.tenure, c.inFlight, c.n = t, (overlay{}), 0; c.work == nil {\n			c.work = thaw(root)\n		}\n",
		}}},
	}
}

// recovery is about what a start makes of what it finds.
func recovery() []Mutant {
	return []Mutant{
		{"reuse-a-revision", "two commits had the same revision, before and after a restart", []Edit{{
			File: "inmem/recover.go",
			Old:  "	return work.freeze(), nil",
			New:  "	work.rev = max(r.rev, work.rev-1)\n\treturn work.freeze(), nil",
		}}},
		{"snapshot-of-the-next-entry", "recovery leaves out the entry after the snapshot", []Edit{{
			File: "inmem/snapfile.go",
			Old:  "PutUint64(b[40:], r.index)",
			New:  "PutUint64(b[40:], r.index+1)",
		}}},
		{"snapshot-without-changes", "after a restart Changes has forgotten, and a repeated commit is applied twice", []Edit{{
			File: "inmem/snapfile.go",
			Old:  "	w.changes(r.rev, changes)\n",
			New:  "",
		}}},
		{"build-on-unsynced-names", "what a killed process had not synced is lost with what was built on it", []Edit{{
			File: "internal/wal/open.go",
			Old:  "	if err := l.tail.file.Sync(); err != nil {\n\t\treturn err\n\t}\n\treturn l.c.FS.SyncDir(l.c.Dir)",
			New:  "	return l.tail.file.Sync()",
		}}},
		{"forget-the-directory-above", "the directory of a new store is gone after a loss of power", []Edit{{
			File: "inmem/recover.go",
			Old:  "		err = vfs.SyncParents(s.c.FS, s.c.Dir)",
			New:  "		_ = vfs.SyncParents",
		}}},
		{"manifest-before-the-log", "a loss of power leaves a store without a log, which never opens again", []Edit{{
			File: "inmem/recover.go",
			Old:  "	if err == nil { // the manifest must not outlive what it stands for\n\t\terr = s.c.FS.SyncDir(s.c.Dir)\n\t}\n",
			New:  "",
		}}},
		{"refuse-half-a-store", "a loss of power during the creation leaves a directory that never opens", []Edit{{
			File: "inmem/manifest.go",
			Old:  "err != nil || len(names) > 0 {",
			New:  "err != nil || len(names) >= 0 {",
		}}},
	}
}

// detection is about damage that must be noticed.
func detection() []Mutant {
	return []Mutant{
		{"skip-the-checksum-of-entries", "a flipped bit in the log changes a row", []Edit{{
			File: "internal/wal/entry.go",
			Old:  "return e, skipChecksum || entrySum",
			New:  "return e, true || entrySum",
		}}},
		{"skip-the-checksum-of-snapshots", "a flipped bit in a snapshot changes a row", []Edit{
			{
				File: "inmem/snapblock.go",
				Old:  "binary.LittleEndian.Uint32(head[24:]) && !br.unsafe",
				New:  "binary.LittleEndian.Uint32(head[24:]) && false",
			},
			{
				File: "inmem/snapread.go",
				Old:  "zstd.IgnoreChecksum(br.unsafe)",
				New:  "zstd.IgnoreChecksum(true)",
			},
		}},
		{"ignore-how-far-the-log-reached", "an older copy of a log file is taken for the whole log", []Edit{{
			File: "internal/wal/open.go",
			Old:  "if tide.index > s.end.index ||",
			New:  "if false ||",
		}}},
		{"ignore-floors", "entries that were synced are taken for a torn tail after a loss of power", []Edit{
			{
				File: "internal/wal/scan.go",
				Old:  "if s.floor.index > s.end.index {",
				New:  "if s.floor.index < 0 {",
			},
			{
				File: "internal/wal/open.go",
				Old:  "if tide.index > s.end.index ||",
				New:  "if false ||",
			},
		}},
	}
}

// transactions is about what a commit may do.
func transactions() []Mutant {
	return []Mutant{
		{"validate-against-a-stale-state", "two commits that read the same rows both succeed", []Edit{{
			File: "inmem/committer.go",
			Old:  "c.work.validate(r.prepared)",
			New:  "thaw(c.store.published.Load()).validate(r.prepared)",
		}}},
		{"ignore-span-checks", "a commit succeeds though rows appeared in what it read", []Edit{{
			File: "inmem/validate.go",
			Old:  "if !t.holds(k) {",
			New:  "if !t.holds(k) && t == nil {",
		}}},
		{"ignore-rows-that-are-gone", "a commit succeeds though a row that it read was deleted", []Edit{{
			File: "inmem/validate.go",
			Old:  "		if rev != k.Rev {",
			New:  "		if rev > k.Rev {",
		}}},
		{"unique-on-the-old-state", "a value cannot be passed from one row to another in one commit", []Edit{{
			File: "inmem/validate.go",
			Old:  "		return !p.writes(def, r.value)",
			New:  "		return r != nil",
		}}},
		{"unique-but-for-one-commit", "one commit gives two rows the same unique value", []Edit{{
			File: "inmem/validate.go",
			Old:  "	return p.repeated",
			New:  "	return nil",
		}}},
		{"insert-as-put", "an insert overwrites the row that is there", []Edit{{
			File: "inmem/validate.go",
			Old:  "if w.Kind == driver.Insert && s",
			New:  "if w.Kind == 0 && s",
		}}},
	}
}

// memory is about the trees, and what is remembered of commits.
func memory() []Mutant {
	return []Mutant{
		{"forget-an-index-entry-of-an-update", "an index shows a row under a value that it no longer has", []Edit{{
			File: "inmem/table.go",
			Old:  "if old != nil && o > 0 && t.def.Compare(o, old.value, next.value) != 0 {",
			New:  "if old != nil && o > 1 && t.def.Compare(o, old.value, next.value) != 0 {",
		}}},
		{"forget-an-index-entry-of-a-delete", "an index shows a row that is gone", []Edit{{
			File: "inmem/table.go",
			Old:  "		for _, order := range t.orders {\n\t\t\torder.Delete(old)",
			New:  "		for _, order := range t.orders[:1] {\n\t\t\torder.Delete(old)",
		}}},
		{"drop-an-id", "a commit that is sent again is applied twice", []Edit{{
			File: "inmem/recent.go",
			Old:  "	r.byID[c.ID] = c.Rev\n",
			New:  "	if c.Rev%5 != 0 {\n\t\tr.byID[c.ID] = c.Rev\n\t}\n",
		}}},
		{"keep-the-ids-of-a-failed-batch", "a commit that did not happen is answered with a revision", []Edit{{
			File: "inmem/committer.go",
			Old:  "c.tenure, c.work, c.inFlight, c.n = t, thaw(root), overlay{}, 0",
			New:  "c.tenure, c.work, c.n = t, thaw(root), 0",
		}}},
		{"share-trees-with-readers", "a snapshot changes while it is read", []Edit{{
			File: "inmem/root.go",
			Old:  "	clear(s.touched)\n",
			New:  "",
		}}},
	}
}
