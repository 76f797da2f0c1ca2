-- The serial each of our zones was last published with, and a hash of what was in it: a serial never falls, whatever the
-- clock does between one start and the next (RFC 1034 §4.3.5).
CREATE TABLE zone_serial (zone TEXT PRIMARY KEY, serial INTEGER NOT NULL, digest TEXT NOT NULL, at TEXT NOT NULL);
