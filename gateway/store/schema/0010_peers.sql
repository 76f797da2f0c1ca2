-- What each domain of ours knows of the algorithms a peer reads. name is an address or a domain, in lower case.
-- learnt comes from mail that this domain verified and trusted, set by a person; both are JSON (smime.Known).
CREATE TABLE peer (
  local TEXT NOT NULL, name TEXT NOT NULL, org TEXT NOT NULL, learnt TEXT NOT NULL DEFAULT '{}',
  heard TEXT NOT NULL DEFAULT '', certificate TEXT NOT NULL DEFAULT '', key_type TEXT NOT NULL DEFAULT '',
  setting TEXT NOT NULL DEFAULT '{}', PRIMARY KEY (local, name));

-- Every sealed form of a message: one for each envelope, and again when it is sealed for the rest of its recipients.
CREATE TABLE sealed (blob TEXT PRIMARY KEY, message TEXT NOT NULL);
CREATE INDEX sealed_message ON sealed(message);
