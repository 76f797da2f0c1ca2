-- Writing: the address book, ready texts, drafts with their files, what was sent by whom, and which files may pass.

CREATE TABLE book (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), address_key TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  organization TEXT NOT NULL, address TEXT NOT NULL, phone TEXT NOT NULL, fax TEXT NOT NULL, note TEXT NOT NULL, source TEXT NOT NULL,
  sort TEXT NOT NULL, changed TEXT NOT NULL, heard TEXT NOT NULL, messages INTEGER NOT NULL);
CREATE UNIQUE INDEX book_address ON book(org, address_key);
CREATE INDEX book_sort ON book(org, sort);

CREATE TABLE template (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), name TEXT NOT NULL, category TEXT NOT NULL, subject TEXT NOT NULL,
  body TEXT NOT NULL, owner TEXT NOT NULL, review TEXT NOT NULL, changed TEXT NOT NULL);
CREATE UNIQUE INDEX template_name ON template(org, lower(name));

-- state: open, asked (somebody must send or sign it), sent, thrown. The text of a draft is sealed in the spool.
CREATE TABLE draft (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), person TEXT NOT NULL, work TEXT NOT NULL, how TEXT NOT NULL, pool TEXT NOT NULL,
  mail_from TEXT NOT NULL, envelope TEXT NOT NULL, category TEXT NOT NULL, state TEXT NOT NULL, asked TEXT NOT NULL, message TEXT NOT NULL,
  blob TEXT NOT NULL, version INTEGER NOT NULL, begun TEXT NOT NULL, changed TEXT NOT NULL);
CREATE INDEX draft_person ON draft(org, person, state, changed);
CREATE INDEX draft_asked ON draft(org, pool, state, changed) WHERE state = 'asked';
CREATE INDEX draft_work ON draft(work) WHERE work <> '';
CREATE INDEX draft_blob ON draft(blob);

CREATE TABLE draft_file (
  draft TEXT NOT NULL REFERENCES draft(id), number INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, media_type TEXT NOT NULL,
  size INTEGER NOT NULL, blob TEXT NOT NULL, findings TEXT NOT NULL, scan TEXT NOT NULL, PRIMARY KEY (draft, number));
CREATE INDEX draft_file_blob ON draft_file(blob);

CREATE TABLE sent (
  message TEXT PRIMARY KEY REFERENCES message(id), org TEXT NOT NULL, person TEXT NOT NULL, signed_by TEXT NOT NULL, pool TEXT NOT NULL,
  work TEXT NOT NULL, how TEXT NOT NULL, category TEXT NOT NULL, blob TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX sent_org ON sent(org, at);
CREATE INDEX sent_at ON sent(at);
CREATE INDEX sent_pool ON sent(org, pool, at);
CREATE INDEX sent_work ON sent(work) WHERE work <> '';
CREATE INDEX sent_blob ON sent(blob);

CREATE TABLE file_policy (
  org TEXT NOT NULL REFERENCES org(id), direction TEXT NOT NULL, kind TEXT NOT NULL, action TEXT NOT NULL, max_size INTEGER NOT NULL,
  reason TEXT NOT NULL, PRIMARY KEY (org, direction, kind));
