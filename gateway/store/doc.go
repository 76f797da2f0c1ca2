// Package store is the gateway's database: rows in SQLite (modernc.org/sqlite, no cgo), bytes in the
// spool. It satisfies, over one file, the narrow interfaces that other packages declare.
//
// Every change goes through one writer that commits whatever waits in one transaction (group commit):
// each change is a savepoint of it, so one that fails takes no other with it, and no change is
// answered before the transaction is on disk (synchronous=FULL). Commit is the only way a stage of the
// pipeline writes: all the effects of one step or none.
//
// modernc.org/sqlite is taken because it is SQLite itself translated to Go (BSD-3-Clause, kept in step
// with upstream), so the binary stays static; this package is its only home.
//
// What is in clear here: subjects, names, document titles. Message bodies, documents and private keys
// never are. Limits: 512 changes a transaction, 5 s wait for the file's lock.
//
// # What is SQLite's here, and what PostgreSQL's form is
//
// All statements are ones that PostgreSQL takes too, with the same tables, but those of three files and what the
// released migrations say. Tests read every text of the package for SQLite's words, and prepare every statement in a
// PostgreSQL, with its form of those that are SQLite's; where words are alike and might mean another thing, both are asked.
//
//   - sqlite.go: how the file is opened, locked and synced (PostgreSQL: its own settings, and synchronous_commit for
//     a batch that only moves leases); the catalogue of tables (pg_tables); instants in text that are moved by seconds
//     (to_char over timestamptz). Package vfs, which sees the file's writes, has no counterpart.
//   - sqlite_search.go and schema/0007_search.sql: full text, FTS5 (a column of tsvector under a GIN index, asked with
//     @@ and to_tsquery; package search would write its questions for it too).
//   - sqlite_snapshot.go: a copy of the database while everything goes on, VACUUM INTO (pg_dump, or a base backup).
//   - schema: INTEGER is bigint and BLOB is bytea; the numbers the database gives are identity columns; names made at
//     random are by md5(random()); the column offset is written in quotes.
//
// What a store over PostgreSQL does to every statement: a parameter is $1, $2 and so on instead of "?", and true and
// false are bound as 1 and 0. Its database has the collation C, by which text is ordered by its octets: instants,
// lanes and cursors rest on it. Conditions come back as boolean, and are read into bool.
//
// What preparing does not show, and such a store has to mind: a change looks before it writes, and there is one writer
// here, so its transactions are serializable and run again where that fails, as Store.do allows already; a statement
// that fails ends its transaction, as it ends every change here; and numbers of events may become visible out of their
// order when several nodes write, so EventsAfter must not pass one that is still to come.
package store
