-- Work: each item of an inbox in somebody's hands. Every item has one work row from the commit that filed it,
-- in a pool that exists, so that no message is on no list. `scope` is the category that decides who may see it
-- ("sensitive" before all else), `rank` is 2 minus the urgency, so that the order of lists is ascending.

CREATE TABLE pool (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), name TEXT NOT NULL, purpose TEXT NOT NULL, owner TEXT NOT NULL,
  catch_all INTEGER NOT NULL, zone TEXT NOT NULL, version INTEGER NOT NULL, created TEXT NOT NULL, retired TEXT NOT NULL);
CREATE UNIQUE INDEX pool_catch_all ON pool(org) WHERE catch_all = 1;
CREATE UNIQUE INDEX pool_name ON pool(org, lower(name)) WHERE retired = '';

-- The rules as they were each time they were saved; the highest version is in force.
CREATE TABLE rule_set (
  org TEXT NOT NULL REFERENCES org(id), version INTEGER NOT NULL, rules TEXT NOT NULL, saved TEXT NOT NULL, saved_by TEXT NOT NULL,
  PRIMARY KEY (org, version));

CREATE TABLE work (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), kind TEXT NOT NULL, inbox TEXT NOT NULL, number INTEGER NOT NULL,
  message TEXT NOT NULL, about TEXT NOT NULL, pool TEXT NOT NULL REFERENCES pool(id), owner TEXT NOT NULL, state TEXT NOT NULL,
  category TEXT NOT NULL, scope TEXT NOT NULL, rank INTEGER NOT NULL, sensitive INTEGER NOT NULL, rule TEXT NOT NULL,
  why TEXT NOT NULL, facts TEXT NOT NULL, patient TEXT NOT NULL, thread TEXT NOT NULL, refers TEXT NOT NULL, received TEXT NOT NULL,
  due TEXT NOT NULL, changed TEXT NOT NULL, finished TEXT NOT NULL, version INTEGER NOT NULL);
CREATE UNIQUE INDEX work_item ON work(inbox, number);
CREATE INDEX work_open ON work(org, pool, rank, received, id) WHERE state <> 'done';
CREATE INDEX work_new ON work(org, pool, received, scope) WHERE state = 'new';
CREATE INDEX work_due ON work(org, pool, due) WHERE state = 'waiting';
CREATE INDEX work_owner ON work(org, owner, rank, received, id) WHERE state <> 'done';
CREATE INDEX work_done ON work(org, pool, finished, id) WHERE state = 'done';
CREATE INDEX work_failed ON work(org, pool, rank, received, id) WHERE kind = 'failure' AND state <> 'done';
CREATE INDEX work_unruled ON work(org, pool, rank, received, id) WHERE rule = '' AND state <> 'done';
CREATE INDEX work_hidden ON work(org, pool, received) WHERE scope = 'sensitive' AND state <> 'done';
CREATE INDEX work_received ON work(org, received);
CREATE INDEX work_thread ON work(inbox, thread);
CREATE INDEX work_message ON work(message);
CREATE INDEX work_about ON work(about) WHERE about <> '';
CREATE INDEX work_patient ON work(org, patient, received) WHERE patient <> '';

-- What people wrote for each other on a work row, and whom they named.
CREATE TABLE note (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, work TEXT NOT NULL, author TEXT NOT NULL, at TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX note_work ON note(work, at);
CREATE TABLE mention (
  org TEXT NOT NULL, person TEXT NOT NULL, note TEXT NOT NULL, work TEXT NOT NULL, at TEXT NOT NULL, seen TEXT NOT NULL,
  PRIMARY KEY (person, note));
CREATE INDEX mention_new ON mention(org, person, at) WHERE seen = '';

-- Who has begun an answer, and the answers that left, so that two people cannot both answer unknowingly.
CREATE TABLE writing (
  work TEXT NOT NULL, person TEXT NOT NULL, org TEXT NOT NULL, since TEXT NOT NULL, seen TEXT NOT NULL, PRIMARY KEY (work, person));
CREATE TABLE answer (
  work TEXT NOT NULL, message TEXT NOT NULL, org TEXT NOT NULL, principal TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (work, message));
CREATE INDEX answer_message ON answer(message);

CREATE INDEX audit_object ON audit(org, object);
CREATE INDEX held_org ON held(org, state, at);

-- What was filed before there was work: one pool for each organisation, and in it every item, as nobody's.
INSERT INTO pool SELECT 'q-' || lower(hex(randomblob(13))), id, 'Front desk', '', '', 1, '', 1, created, '' FROM org;
INSERT INTO work SELECT 'w-' || lower(hex(randomblob(16))), i.org, CASE i.origin WHEN 'peer' THEN 'message' WHEN 'system' THEN 'failure' ELSE 'notice' END,
  i.inbox, i.number, i.message, '', p.id, '', 'new', '', '', 2, 0, '', '{"because":["it came before this list was kept"]}', '', '', i.thread, '[]',
  i.received, '', i.received, '', 1 FROM item i JOIN pool p ON p.org = i.org;
