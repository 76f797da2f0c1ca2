-- Trust as it is administered: bundles and who subscribes to them, policies, changes that wait for a person,
-- every change with what was before and after it, and the decisions that were taken, compactly.

CREATE TABLE bundle (
  name TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), url TEXT NOT NULL, settings TEXT NOT NULL, created TEXT NOT NULL);

-- What the last looks at a bundle's source came to. It changes with every look and is no part of what is undone.
CREATE TABLE bundle_look (
  bundle TEXT PRIMARY KEY, checksum TEXT NOT NULL DEFAULT '', seen TEXT NOT NULL DEFAULT '', etag TEXT NOT NULL DEFAULT '',
  modified TEXT NOT NULL DEFAULT '', signer BLOB, metadata TEXT NOT NULL DEFAULT '', attempted TEXT NOT NULL DEFAULT '',
  succeeded TEXT NOT NULL DEFAULT '', failures INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '', due TEXT NOT NULL DEFAULT '');

CREATE TABLE bundle_anchor (
  bundle TEXT NOT NULL, fingerprint TEXT NOT NULL, certificate BLOB NOT NULL, subject TEXT NOT NULL, expires TEXT NOT NULL,
  added TEXT NOT NULL, PRIMARY KEY (bundle, fingerprint));

CREATE TABLE subscription (
  domain TEXT NOT NULL REFERENCES domain(name), bundle TEXT NOT NULL, org TEXT NOT NULL, incoming INTEGER NOT NULL,
  outgoing INTEGER NOT NULL, since TEXT NOT NULL, PRIMARY KEY (domain, bundle));

-- An anchor that a domain does not believe, whatever bundle brings it (TB-53).
CREATE TABLE anchor_block (
  domain TEXT NOT NULL REFERENCES domain(name), fingerprint TEXT NOT NULL, org TEXT NOT NULL, why TEXT NOT NULL, since TEXT NOT NULL,
  PRIMARY KEY (domain, fingerprint));

CREATE TABLE policy (
  domain TEXT NOT NULL REFERENCES domain(name), direction TEXT NOT NULL, use TEXT NOT NULL, name TEXT NOT NULL, org TEXT NOT NULL,
  text TEXT NOT NULL, since TEXT NOT NULL, PRIMARY KEY (domain, direction, use, name));

-- A change that waits for a person, or for two.
CREATE TABLE proposal (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, kind TEXT NOT NULL, object TEXT NOT NULL, content BLOB NOT NULL, why TEXT NOT NULL,
  actor TEXT NOT NULL, at TEXT NOT NULL, approvals TEXT NOT NULL, needs INTEGER NOT NULL, state TEXT NOT NULL, decided TEXT NOT NULL DEFAULT '');
CREATE INDEX proposal_state ON proposal(state, kind, object);

-- Every change of trust, with the rows it took away and the rows it put there: what undo needs.
CREATE TABLE trust_change (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, org TEXT NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  object TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, undoes INTEGER NOT NULL DEFAULT 0, undone INTEGER NOT NULL DEFAULT 0);

-- Partners' certificates, each once; the ways they were judged in, each once; and a short row a decision.
CREATE TABLE trust_certificate (
  fingerprint TEXT PRIMARY KEY, certificate BLOB NOT NULL, subject TEXT NOT NULL, expires TEXT NOT NULL, first_seen TEXT NOT NULL);
CREATE TABLE trust_path (
  id INTEGER PRIMARY KEY, certificates TEXT NOT NULL UNIQUE, leaf TEXT NOT NULL, anchor TEXT NOT NULL);
CREATE TABLE judgement (
  id INTEGER PRIMARY KEY, org TEXT NOT NULL, domain TEXT NOT NULL, direction TEXT NOT NULL, purpose TEXT NOT NULL, peer TEXT NOT NULL,
  path INTEGER NOT NULL REFERENCES trust_path(id), reason TEXT NOT NULL,
  UNIQUE (domain, direction, purpose, peer, path, reason, org));
CREATE TABLE decision (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, judgement INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX decision_judgement ON decision(judgement, at);
CREATE INDEX decision_message ON decision(message);

-- What was told of an end that comes near: the smallest threshold, in seconds.
CREATE TABLE expiry_told (item TEXT PRIMARY KEY, threshold INTEGER NOT NULL, at TEXT NOT NULL);

-- A private key that waits for the certificate somebody else issues for it.
CREATE TABLE certificate_request (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, domain TEXT NOT NULL, address TEXT NOT NULL, public_key TEXT NOT NULL, sealed_key BLOB NOT NULL,
  request BLOB NOT NULL, replaces TEXT NOT NULL, created TEXT NOT NULL, answered TEXT NOT NULL DEFAULT '');
CREATE INDEX certificate_request_key ON certificate_request(public_key);

-- A certificate that takes another's place: it is published at once, signs from signs_from on, and the one it
-- replaces goes on decrypting until decrypts_until.
ALTER TABLE credential ADD COLUMN signs_from TEXT NOT NULL DEFAULT '';
ALTER TABLE credential ADD COLUMN replaces TEXT NOT NULL DEFAULT '';
ALTER TABLE credential ADD COLUMN decrypts_until TEXT NOT NULL DEFAULT '';

-- What a look from outside saw, one row for as long as it stayed the same.
CREATE TABLE sighting (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, org TEXT NOT NULL, subject TEXT NOT NULL, what TEXT NOT NULL, place TEXT NOT NULL,
  verdict TEXT NOT NULL, saw TEXT NOT NULL, remedy TEXT NOT NULL, since TEXT NOT NULL, last TEXT NOT NULL);
CREATE INDEX sighting_subject ON sighting(subject, what, place, seq);
