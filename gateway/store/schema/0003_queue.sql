-- Priorities of the queue: 0 ordinary, 1 prompt (notices), 2 urgent. A claim looks at the head of each, so its
-- cost does not depend on how many wait.
ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
UPDATE job SET priority = 1 WHERE notice <> 0;
DROP INDEX job_due;
CREATE INDEX job_due ON job(class, parked, priority, due);
DROP INDEX job_lane;
CREATE INDEX job_lane ON job(class, parked, lane, priority, due);

-- What most messages do not have when they are accepted is not indexed: accepting one writes fewer pages.
DROP INDEX message_rfc;
CREATE INDEX message_rfc ON message(rfc_id) WHERE rfc_id <> '';
DROP INDEX message_about;
CREATE INDEX message_about ON message(about) WHERE about <> '';

-- The other addresses of the same inbox that an item was sent to: one item, however many of its names were written.
ALTER TABLE item ADD COLUMN also TEXT NOT NULL DEFAULT '[]';
