-- The people an organisation's messages are about. `stated` is the demographics as last confirmed; a key is an exact
-- word under which a person is found again. Links are never deleted: undoing one leaves who made it and who undid it.

CREATE TABLE patient (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), state TEXT NOT NULL, name TEXT NOT NULL, birth TEXT NOT NULL,
  stated TEXT NOT NULL, into_id TEXT NOT NULL DEFAULT '', created TEXT NOT NULL, changed TEXT NOT NULL);
CREATE INDEX patient_name ON patient(org, name);

CREATE TABLE patient_key (org TEXT NOT NULL, key TEXT NOT NULL, patient TEXT NOT NULL REFERENCES patient(id), PRIMARY KEY (org, key, patient));
CREATE INDEX patient_key_patient ON patient_key(patient);

CREATE TABLE patient_link (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, work TEXT NOT NULL REFERENCES work(id), patient TEXT NOT NULL REFERENCES patient(id),
  how TEXT NOT NULL, reasons TEXT NOT NULL, made_by TEXT NOT NULL, at TEXT NOT NULL, undone_by TEXT NOT NULL DEFAULT '', undone TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX patient_link_live ON patient_link(work) WHERE undone = '';
CREATE INDEX patient_link_patient ON patient_link(patient, at);
