-- The first schema. Instants are UTC text with milliseconds ("2026-01-02T03:04:05.678Z"), so text
-- order is time order. Every business row names its organisation. JSON columns hold values whose
-- format number is inside them. Nothing here is specific to one engine but the identity column of job and event.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE org (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, wrapped_key BLOB NOT NULL, created TEXT NOT NULL);

CREATE TABLE domain (
  name TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), postmaster TEXT NOT NULL,
  destination TEXT NOT NULL, settings TEXT NOT NULL, created TEXT NOT NULL);

CREATE TABLE inbox (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), name TEXT NOT NULL, next_number INTEGER NOT NULL,
  created TEXT NOT NULL);

CREATE TABLE address (
  key TEXT NOT NULL, org TEXT NOT NULL REFERENCES org(id), domain TEXT NOT NULL REFERENCES domain(name),
  spelled TEXT NOT NULL, destination TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX address_live ON address(key) WHERE until = '';
CREATE INDEX address_domain ON address(domain);

CREATE TABLE account (
  login TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), record TEXT NOT NULL, created TEXT NOT NULL,
  disabled TEXT NOT NULL DEFAULT '');
CREATE TABLE account_address (
  login TEXT NOT NULL REFERENCES account(login), address TEXT NOT NULL, PRIMARY KEY (login, address));

CREATE TABLE blob (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, size INTEGER NOT NULL, sha256 BLOB NOT NULL,
  wrapped_key BLOB NOT NULL, place TEXT NOT NULL, created TEXT NOT NULL);
CREATE INDEX blob_created ON blob(created);

CREATE TABLE message (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), direction TEXT NOT NULL, kind TEXT NOT NULL,
  rfc_id TEXT NOT NULL, mail_from TEXT NOT NULL, sender TEXT NOT NULL, recipients TEXT NOT NULL,
  edge TEXT NOT NULL, edge_id TEXT NOT NULL, principal TEXT NOT NULL, peer TEXT NOT NULL, idempotency TEXT NOT NULL,
  purpose TEXT NOT NULL, deadline_ms INTEGER NOT NULL, final_requested INTEGER NOT NULL,
  size INTEGER NOT NULL, prefix TEXT NOT NULL, facts TEXT NOT NULL, receipt TEXT NOT NULL,
  blob TEXT NOT NULL, sealed_blob TEXT NOT NULL, opened_blob TEXT NOT NULL, about TEXT NOT NULL, received TEXT NOT NULL);
CREATE INDEX message_rfc ON message(rfc_id);
CREATE INDEX message_about ON message(about);
CREATE INDEX message_received ON message(received);
-- Which message needs a blob: asked of every old blob by the sweep.
CREATE INDEX message_blob ON message(blob);
CREATE INDEX message_sealed ON message(sealed_blob) WHERE sealed_blob <> '';
CREATE INDEX message_opened ON message(opened_blob) WHERE opened_blob <> '';
CREATE UNIQUE INDEX message_idempotency ON message(org, principal, idempotency) WHERE idempotency <> '';

CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT, org TEXT NOT NULL, message TEXT NOT NULL, kind TEXT NOT NULL,
  class TEXT NOT NULL, notice INTEGER NOT NULL, lane TEXT NOT NULL, recipients TEXT NOT NULL, data TEXT NOT NULL,
  due TEXT NOT NULL, token TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0,
  last_error TEXT NOT NULL DEFAULT '', parked TEXT NOT NULL DEFAULT '', created TEXT NOT NULL);
CREATE INDEX job_due ON job(class, parked, due);
CREATE INDEX job_lane ON job(class, parked, lane, due);
CREATE INDEX job_message ON job(message);

CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, org TEXT NOT NULL, message TEXT NOT NULL, recipient TEXT NOT NULL,
  kind TEXT NOT NULL, at TEXT NOT NULL, source TEXT NOT NULL, evidence TEXT NOT NULL);
CREATE INDEX event_message ON event(message);

CREATE TABLE item (
  inbox TEXT NOT NULL REFERENCES inbox(id), number INTEGER NOT NULL, org TEXT NOT NULL, message TEXT NOT NULL,
  recipient TEXT NOT NULL, sender TEXT NOT NULL, origin TEXT NOT NULL, rfc_id TEXT NOT NULL, thread TEXT NOT NULL,
  subject TEXT NOT NULL, received TEXT NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL, flags TEXT NOT NULL,
  receipt TEXT NOT NULL, PRIMARY KEY (inbox, number));
CREATE INDEX item_thread ON item(inbox, thread);
CREATE INDEX item_rfc ON item(inbox, rfc_id);
CREATE INDEX item_message ON item(message);
CREATE INDEX item_blob ON item(blob);

-- What discovery found or did not find, until it expires: it survives a restart.
CREATE TABLE lookup_memory (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires TEXT NOT NULL);

-- A tombstone a delivery: it outlives the item, so that a repeated message is never delivered twice.
CREATE TABLE delivered (
  recipient TEXT NOT NULL, signer TEXT NOT NULL, rfc_id TEXT NOT NULL, sha256 BLOB NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (recipient, signer, rfc_id, sha256));

CREATE TABLE part (
  inbox TEXT NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
  sha256 TEXT NOT NULL, media_type TEXT NOT NULL, filename TEXT NOT NULL, encoding TEXT NOT NULL,
  PRIMARY KEY (inbox, number, path));

CREATE TABLE document (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, inbox TEXT NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL,
  kind TEXT NOT NULL, type TEXT NOT NULL, type_code TEXT NOT NULL, title TEXT NOT NULL, patient TEXT NOT NULL,
  author TEXT NOT NULL, date TEXT NOT NULL, set_id TEXT NOT NULL, document_id TEXT NOT NULL, refs TEXT NOT NULL);
CREATE INDEX document_item ON document(inbox, number);

CREATE TABLE held (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, message TEXT NOT NULL, peer TEXT NOT NULL, mail_from TEXT NOT NULL,
  recipients TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, trace TEXT NOT NULL, blob TEXT NOT NULL,
  size INTEGER NOT NULL, at TEXT NOT NULL, expires TEXT NOT NULL, state TEXT NOT NULL);
CREATE INDEX held_at ON held(state, at);
CREATE INDEX held_blob ON held(blob);
CREATE INDEX held_peer ON held(peer, state, at);
CREATE TABLE anchor (
  domain TEXT NOT NULL REFERENCES domain(name), fingerprint TEXT NOT NULL, org TEXT NOT NULL,
  incoming INTEGER NOT NULL, outgoing INTEGER NOT NULL, certificate BLOB NOT NULL, subject TEXT NOT NULL,
  expires TEXT NOT NULL, source TEXT NOT NULL, added TEXT NOT NULL, PRIMARY KEY (domain, fingerprint));

CREATE TABLE credential (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, domain TEXT NOT NULL, address TEXT NOT NULL, certificate BLOB NOT NULL,
  chain BLOB NOT NULL, sealed_key BLOB NOT NULL, can_sign INTEGER NOT NULL, can_decrypt INTEGER NOT NULL,
  published INTEGER NOT NULL, expires TEXT NOT NULL, created TEXT NOT NULL, retired TEXT NOT NULL DEFAULT '');
CREATE INDEX credential_domain ON credential(domain);

CREATE TABLE static_certificate (
  name TEXT NOT NULL, org TEXT NOT NULL, fingerprint TEXT NOT NULL, certificate BLOB NOT NULL, added TEXT NOT NULL,
  PRIMARY KEY (name, fingerprint));

CREATE TABLE audit (
  node TEXT NOT NULL, seq INTEGER NOT NULL, org TEXT NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL,
  action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL,
  PRIMARY KEY (node, seq));
