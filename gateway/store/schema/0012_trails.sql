-- Two traces. A merge of two patients keeps what it moved, link by link, so that it can be taken back as a whole; and
-- tries to sign in that failed are counted by person and hour, until the audit has them.

-- gone was made part of into_id; state is what gone was before.
CREATE TABLE patient_merge (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES org(id), gone TEXT NOT NULL REFERENCES patient(id), into_id TEXT NOT NULL REFERENCES patient(id),
  state TEXT NOT NULL, why TEXT NOT NULL, made_by TEXT NOT NULL, at TEXT NOT NULL,
  undone_by TEXT NOT NULL DEFAULT '', undone TEXT NOT NULL DEFAULT '', undone_why TEXT NOT NULL DEFAULT '');
CREATE INDEX patient_merge_into ON patient_merge(into_id, at);
CREATE INDEX patient_merge_gone ON patient_merge(gone, at);

-- was is the link that the merge ended, link the one it made in its place.
CREATE TABLE patient_merge_move (
  merge TEXT NOT NULL REFERENCES patient_merge(id), work TEXT NOT NULL REFERENCES work(id), was TEXT NOT NULL, link TEXT NOT NULL, PRIMARY KEY (merge, work));
CREATE INDEX patient_merge_move_work ON patient_merge_move(work);

-- Merges made before these tables: the links that one ended carry its instant, and the first it made in the place of
-- each came at that instant or just after. What the record was then is not known any more; provisional asks somebody to look.
INSERT INTO patient_merge (id, org, gone, into_id, state, why, made_by, at)
  SELECT 'pm-' || p.id, p.org, p.id, p.into_id, 'provisional', '', COALESCE((SELECT MAX(o.undone_by) FROM patient_link o
    WHERE o.patient=p.id AND o.undone=p.changed), ''), p.changed FROM patient p WHERE p.state='merged' AND p.into_id<>'';
INSERT INTO patient_merge_move (merge, work, was, link)
  SELECT 'pm-' || p.id, o.work, MAX(o.id), MAX(l.id) FROM patient p JOIN patient_link o ON o.patient=p.id AND o.undone=p.changed
  JOIN patient_link l ON l.work=o.work AND l.patient=p.into_id AND l.how='merged' AND l.at=(SELECT MIN(x.at) FROM patient_link x
    WHERE x.work=o.work AND x.patient=p.into_id AND x.how='merged' AND x.at>=p.changed)
  WHERE p.state='merged' AND p.into_id<>'' GROUP BY p.id, o.work;

-- person '' is everybody of the organisation that a try did not name rightly; org '' is no organisation at all.
-- told is how many of them the audit has.
CREATE TABLE sign_in_failure (
  org TEXT NOT NULL, person TEXT NOT NULL, hour TEXT NOT NULL, password INTEGER NOT NULL DEFAULT 0, second INTEGER NOT NULL DEFAULT 0,
  passkey INTEGER NOT NULL DEFAULT 0, single INTEGER NOT NULL DEFAULT 0, link INTEGER NOT NULL DEFAULT 0, peer TEXT NOT NULL,
  told INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (org, person, hour));
CREATE INDEX sign_in_failure_hour ON sign_in_failure(hour);
