-- Full text over what people may read. It is SQLite's FTS5: another engine has a file of its own in its place.
-- The index keeps words, not texts; its words are in clear, as subjects and names are. `seq` is the time the
-- message came (milliseconds times 1024, and a little), so that the newest is found first without sorting.

CREATE TABLE search_pending (work TEXT PRIMARY KEY, org TEXT NOT NULL);
CREATE TABLE search_entry (seq INTEGER PRIMARY KEY, work TEXT NOT NULL UNIQUE);
CREATE VIRTUAL TABLE search_text USING fts5(org, sender, recipient, patient, subject, kind, text,
  content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');

INSERT INTO search_pending SELECT id, org FROM work;
