package store

import (
	"context"
	"database/sql"
	"time"
)

// Sighting is what a look from outside saw of one thing, for as long as it stayed the same.
type Sighting struct {
	Org     string    `json:"-"`
	Subject string    `json:"subject"` // the domain that was looked at
	What    string    `json:"what"`
	Place   string    `json:"where,omitempty"`
	Verdict string    `json:"verdict"` // good, bad, doubt, unknown
	Saw     string    `json:"saw"`
	Remedy  string    `json:"remedy,omitempty"`
	Since   time.Time `json:"since"`
	Last    time.Time `json:"last"`
}

// MaxSightings bounds the spans kept of one thing looked at; the oldest go.
const MaxSightings = 200

// Sighted keeps what was seen now: a span goes on while the verdict stays, else a new one begins. It returns
// the things whose verdict changed.
func (s *Store) Sighted(ctx context.Context, seen []Sighting) (news []Sighting, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		news = nil
		w := &writer{tx: tx, s: s}
		now := stamp(s.now())
		for _, v := range seen {
			const latest = "SELECT max(seq) FROM sighting WHERE subject=? AND what=? AND place=?"
			n := w.exec("UPDATE sighting SET last=?, saw=?, remedy=? WHERE verdict=? AND seq=("+latest+")", now, v.Saw, v.Remedy, v.Verdict, v.Subject, v.What, v.Place)
			if n > 0 || w.err != nil {
				continue
			}
			w.exec("INSERT INTO sighting(org, subject, what, place, verdict, saw, remedy, since, last) VALUES (?,?,?,?,?,?,?,?,?)",
				v.Org, v.Subject, v.What, v.Place, v.Verdict, v.Saw, v.Remedy, now, now)
			w.exec("DELETE FROM sighting WHERE subject=? AND what=? AND place=? AND seq NOT IN (SELECT seq FROM sighting WHERE subject=? AND what=? AND place=? ORDER BY seq DESC LIMIT ?)",
				v.Subject, v.What, v.Place, v.Subject, v.What, v.Place, MaxSightings)
			v.Since, v.Last = s.Now(), s.Now()
			news = append(news, v)
		}
		return w.err
	})
	return news, err
}

// Sightings is the history of looks at a subject ("" is all), newest first, or only what is so now.
func (s *Store) Sightings(ctx context.Context, subject string, onlyNow bool, n int) ([]Sighting, error) {
	return list(ctx, s, `SELECT org, subject, what, place, verdict, saw, remedy, since, last FROM sighting o WHERE (?='' OR subject=?)
		AND (?=0 OR seq=(SELECT max(seq) FROM sighting i WHERE i.subject=o.subject AND i.what=o.what AND i.place=o.place))
		ORDER BY subject, what, place, seq DESC LIMIT ?`, []any{subject, subject, onlyNow, n}, func(r *sql.Rows) (v Sighting, err error) {
		var since, last string
		err = r.Scan(&v.Org, &v.Subject, &v.What, &v.Place, &v.Verdict, &v.Saw, &v.Remedy, &since, &last)
		v.Since, v.Last = parseStamp(since), parseStamp(last)
		return v, err
	})
}
