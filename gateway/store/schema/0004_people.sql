-- People of an organisation, how they sign in, what they may do, and their sessions. Nothing here is found
-- without naming the organisation, but a session and a one-time link, whose random secret is the name (its hash here).

CREATE TABLE person (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), login TEXT NOT NULL, name TEXT NOT NULL, title TEXT NOT NULL,
  role TEXT NOT NULL, admin INTEGER NOT NULL, zone TEXT NOT NULL, record TEXT NOT NULL, created TEXT NOT NULL,
  disabled TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX person_login ON person(org, login);

-- A second way to prove who one is: totp (secret sealed), passkey (public), recovery (hash), oidc (issuer and subject).
CREATE TABLE factor (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, person TEXT NOT NULL REFERENCES person(id), kind TEXT NOT NULL, name TEXT NOT NULL,
  lookup TEXT NOT NULL, data BLOB NOT NULL, counter INTEGER NOT NULL DEFAULT 0, created TEXT NOT NULL, used TEXT NOT NULL DEFAULT '');
CREATE INDEX factor_person ON factor(person, kind);
CREATE UNIQUE INDEX factor_lookup ON factor(org, kind, lookup) WHERE lookup <> '';

-- A one-time link by which a person sets a password.
CREATE TABLE invitation (
  hash TEXT PRIMARY KEY, org TEXT NOT NULL, person TEXT NOT NULL REFERENCES person(id), created TEXT NOT NULL, ends TEXT NOT NULL);
CREATE INDEX invitation_person ON invitation(person);

-- category '' is all of them.
CREATE TABLE membership (
  org TEXT NOT NULL, person TEXT NOT NULL REFERENCES person(id), pool TEXT NOT NULL, category TEXT NOT NULL, level INTEGER NOT NULL,
  PRIMARY KEY (person, pool, category));
CREATE INDEX membership_pool ON membership(org, pool);

CREATE TABLE web_session (
  hash TEXT PRIMARY KEY, org TEXT NOT NULL, person TEXT NOT NULL REFERENCES person(id), stage TEXT NOT NULL, method TEXT NOT NULL,
  peer TEXT NOT NULL, agent TEXT NOT NULL, created TEXT NOT NULL, seen TEXT NOT NULL, proved TEXT NOT NULL);
CREATE INDEX web_session_person ON web_session(person);
CREATE INDEX web_session_created ON web_session(created);

-- Emergency access to a pool; answered is when the pool's owner said that it was seen.
CREATE TABLE break_glass (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, person TEXT NOT NULL REFERENCES person(id), pool TEXT NOT NULL, reason TEXT NOT NULL,
  at TEXT NOT NULL, until TEXT NOT NULL, answered TEXT NOT NULL DEFAULT '', answered_by TEXT NOT NULL DEFAULT '');
CREATE INDEX break_glass_person ON break_glass(person, until);
CREATE INDEX break_glass_pool ON break_glass(org, pool, at);

-- Single sign-on of an organisation (OpenID Connect); the secret is sealed.
CREATE TABLE single_sign_on (
  org TEXT PRIMARY KEY REFERENCES org(id), issuer TEXT NOT NULL, client TEXT NOT NULL, secret BLOB NOT NULL,
  settings TEXT NOT NULL, changed TEXT NOT NULL);
