-- Sending and scanning.

-- How many answers to a message the writer of a draft knew of: when more have left, it is not sent before its writer was told.
ALTER TABLE draft ADD COLUMN known INTEGER NOT NULL DEFAULT 0;
UPDATE draft SET known = (SELECT count(*) FROM answer a WHERE a.work = draft.work AND a.at <= draft.begun) WHERE work <> '';

-- What the scanner said of each file that came in while one was set for what comes in. state: waiting (not asked yet), clean, found,
-- unknown (no answer), released (held, and let go by a person, who said why). due is when it is asked (again), '' is never.
CREATE TABLE part_scan (
  inbox TEXT NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL, org TEXT NOT NULL, state TEXT NOT NULL, words TEXT NOT NULL,
  tries INTEGER NOT NULL, due TEXT NOT NULL, at TEXT NOT NULL, released_by TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (inbox, number, path));
CREATE INDEX part_scan_due ON part_scan(due) WHERE due <> '';
CREATE INDEX part_scan_held ON part_scan(org, at) WHERE state IN ('found', 'unknown');
