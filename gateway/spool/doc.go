// Package spool keeps byte strings (messages, parts, drafts) on disk: sealed from the first octet,
// durable before anyone is told so, and gone when their row is gone.
//
// A blob is written once and then only read. Its row in the caller's database (Blob) names its place
// and carries its wrapped key; the row is the truth. Bytes no row names are garbage, whatever wrote them.
//
// # Where bytes go
//
// A blob of up to SmallBlob octets is sealed in memory and appended to a segment log by one goroutine
// that takes whatever waits, writes it and syncs once (group commit): while one sync runs the next batch
// forms, so many writers share a sync and a lone writer waits for nothing but its own. A larger blob
// streams, sealed, into a file of its own, which is synced, named and its directory synced. Commit
// returns nil only after that.
//
//	log/<number>        segments: records, one after another
//	blob/<c>/<name>     one sealed file a blob
//	tmp/                files without a name in any row: sealed as well, removed at Open
//	site                whose rows these are: Open refuses another database's (Config.Site)
//
// Segments are written over files of their full length that were written before (spares: one prepared in
// the background when there is traffic, and freed segments), because syncing an overwrite does not wait for
// the file system's journal. A segment that someone reads from never becomes a spare.
//
// # Crash by crash
//
// A batch begins at a multiple of pageSize, so no write ever touches a page that holds durable octets,
// and no segment is written again after a restart. A record half written when the machine stopped is
// recognised by its checksums; no row can name it, because its Commit never returned. Recover, given
// all rows at start, removes segments and files that no row names and cuts segments behind their last
// named record. Compact copies the few survivors of a mostly dead segment into files of their own,
// syncs them, and only then asks the caller to rewrite the row, on the condition that it still says
// what it said; a crash before leaves an unnamed copy, a crash after leaves an unnamed original.
//
// # When the disk fails
//
// A failed write or sync fails every Commit of its batch, and its segment is never written again: a
// sync repeated after an error may report octets durable that the system has dropped. The next batch
// begins a new segment, so service resumes by itself. ErrNoSpace comes before the disk is full (Config.
// Reserve), so that what must be written to finish accepted work (Continue, Scratch, Compact) still fits.
//
// Plaintext lives in memory only, at most a chunk a reader and SmallBlob a writer; Scratch holds
// unverified plaintext under a key that never leaves memory.
//
// Sealed gives a blob to a backup as it lies there, and Import takes it from one.
//
// It does not know what the bytes mean, keep rows, or keep anyone from reading who holds the
// rows and the master key. One process at a time (a lock file).
//
// Limits: a blob MaxBlob (2 GiB) unless configured lower; a segment 64 MiB; a batch 16 MiB; what
// waits for a sync 64 MiB, then ErrBusy; a scratch keeps up to 1 MiB in memory, the rest sealed on disk.
package spool
