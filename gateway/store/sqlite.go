package store

import (
	"database/sql"
	"fmt"

	_ "modernc.org/sqlite" // the database driver
)

// What is said in SQLite's own words to open a database, to lock it and to ask what it holds. The package's doc lists
// the other files that do.

// checkpointPages is how many pages of 4 KiB the write-ahead log has before they are copied into the database: a
// page that changes with every message is copied once for all of them.
const checkpointPages = 4000

// open opens the file over a layer of package vfs ("" is SQLite's own).
func open(path, layer string, conns int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", source(path, layer))
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.Ping(); err != nil {
		db.Close()
		return nil, fmt.Errorf("store: open: %w", err)
	}
	return db, nil
}

// source names the file and how it is opened: who writes locks it at once and waits for others, a commit is on disk
// when it is answered, and no row may name one that is not there.
func source(path, layer string) string {
	dsn := "file:" + path + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-16000)" + fmt.Sprintf("&_pragma=wal_autocheckpoint(%d)", checkpointPages)
	if layer != "" {
		dsn += "&vfs=" + layer
	}
	return dsn
}

// Whether a connection answers a commit when it is on disk, or when it is written (see relaxed).
const (
	answerOnDisk      = "PRAGMA synchronous=FULL"
	answerWhenWritten = "PRAGMA synchronous=NORMAL"
)

// hasMeta counts the tables by which a gateway's database is known.
const hasMeta = "SELECT COUNT(*) FROM sqlite_schema WHERE type='table' AND name='meta'"

// moveDue moves the due time of every job by a number of seconds.
const moveDue = "UPDATE job SET due=strftime('%Y-%m-%dT%H:%M:%fZ', due, ? || ' seconds') WHERE due<>''"

// moveExpiry makes what is held expire a number of seconds after it came.
const moveExpiry = "UPDATE held SET expires=strftime('%Y-%m-%dT%H:%M:%fZ', at, '+' || ? || ' seconds') WHERE state='held'"
