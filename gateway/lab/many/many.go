// Package many fills a clinic's database with very many messages, to measure its pages and its search on.
//
// They are rows only: items with their work, one document each, patients, and words in the index, spread over two
// years, in eight teams. No message was sent, no bytes are kept, no event or audit entry is made; so lists, home
// page, patients and search are as with real ones, and a message's own page cannot be opened. The words are made up,
// from few to very common ones.
//
// Fill is for a database that no gateway has open. One million takes some minutes and about 2 GB.
package many

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver of the store
)

// What the words of the index are in: of n messages, Everywhere in all, Common in a tenth, Seldom in a thousandth, Rare in
// ten of a million.
const (
	Everywhere = "patient"
	Common     = "hypertension"
	Seldom     = "myocarditis"
	Rare       = "amyloidosis"
)

// Teams is how many teams the messages are in, besides the one that is there.
const Teams = 8

// Busy is the patient whom most messages are about: one in five hundred.
const Busy = "pt-busy"

// Team is the id of one of them.
func Team(i int) string { return fmt.Sprintf("q-many-%d", i) }

// step is one statement; every ? is the next of args.
type step struct {
	text string
	args []any
}

// Fill adds n messages to an organisation of the database at path, the last of them a minute before now.
func Fill(ctx context.Context, path, org string, n int, now time.Time) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)&_pragma=cache_size(-400000)&_pragma=temp_store(2)")
	if err != nil {
		return fmt.Errorf("many: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range steps(org, n, now.UTC().Truncate(time.Minute)) {
		if _, err := db.ExecContext(ctx, s.text, s.args...); err != nil {
			return fmt.Errorf("many: %.60s: %w", s.text, err)
		}
	}
	return nil
}

func steps(org string, n int, now time.Time) []step {
	begin := now.Add(-time.Duration(n) * time.Minute)
	const count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?) "
	at := "strftime('%Y-%m-%dT%H:%M:%fZ', " + fmt.Sprint(begin.Unix()) + "+i*60, 'unixepoch')"
	const who = "CASE WHEN i%500=0 THEN '" + Busy + "' ELSE 'pt-'||(i%100000) END"
	const name = `'{"name":{"given":"Given'||(i%97)||'","family":"Family'||(i%100000)||'"},"birth":"19'||(30+i%60)||'-01-01"}'`
	begun := begin.Format("2006-01-02T15:04:05.000Z")
	out := []step{{"INSERT INTO inbox VALUES ('many',?,'many',?,?)", []any{org, n + 1, begun}}}
	for i := range Teams {
		out = append(out, step{"INSERT INTO pool VALUES (?,?,?,'','',0,'',1,?,'')", []any{Team(i), org, fmt.Sprintf("Team %d", i+1), begun}})
	}
	return append(out,
		step{count + `INSERT INTO patient (id, org, state, name, birth, stated, created, changed) SELECT ` + who + `, ?, 'confirmed', 'family'||(i%100000)||' given'||(i%97), '', ` + name + `, '', '' FROM n WHERE true ON CONFLICT DO NOTHING`, []any{min(n, 100_000), org}},
		step{count + `INSERT INTO item (inbox, number, org, message, recipient, also, sender, origin, rfc_id, thread, subject, received, blob, size, flags, receipt)
			SELECT 'many', i, ?, 'm-many-'||i, 'referrals@clinic.example', '[]', 'dr'||(i%5000)||'@practice'||(i%400)||'.example', 'peer', i||'@practice.example', 'm-many-'||i, 'Referral '||i, ` + at + `, 'b-many', 40000, '{}', '{}' FROM n`, []any{n, org}},
		step{count + `INSERT INTO document SELECT 'd-many-'||i, ?, 'many', i, '2', 'c-cda', 'Referral Note', '57133-1', 'Referral Note: Cardiology', ` + name + `, 'Dr Author'||(i%5000), ` + at + `, '', '', 'null' FROM n`, []any{n, org}},
		step{count + `INSERT INTO work (id, org, kind, inbox, number, message, about, pool, owner, state, category, scope, rank, sensitive, rule, why, facts, patient, thread, refers, received, due, changed, finished, version)
			SELECT 'w-many-'||i, ?, 'message', 'many', i, 'm-many-'||i, '', 'q-many-'||(i%` + fmt.Sprint(Teams) + `), CASE WHEN i%200=0 AND i%600<>0 THEN '' ELSE 'p-many-'||(i%40) END,
			CASE WHEN i%200<>0 THEN 'done' WHEN i%600=0 THEN 'taken' ELSE 'new' END, 'referral', CASE WHEN i%1000=0 THEN 'sensitive' ELSE 'referral' END, CASE WHEN i%20000=0 THEN 1 ELSE 2 END,
			i%1000=0, CASE WHEN i%7=0 THEN '' ELSE 'r-many' END, '{"because":["it was sent to referrals@clinic.example"]}', '', ` + who + `, 'm-many-'||i, '[]', ` + at + `, '', ` + at + `, CASE WHEN i%200<>0 THEN ` + at + ` ELSE '' END, 2 FROM n`, []any{n, org}},
		step{count + `INSERT INTO search_entry SELECT (` + fmt.Sprint(begin.UnixMilli()) + `+i*60000)*1024, 'w-many-'||i FROM n`, []any{n}},
		step{count + `INSERT INTO search_text (rowid, org, sender, recipient, patient, subject, kind, text) SELECT (` + fmt.Sprint(begin.UnixMilli()) + `+i*60000)*1024, ?, 'dr'||(i%5000)||'@practice'||(i%400)||'.example',
			'referrals@clinic.example', 'Given'||(i%97)||' Family'||(i%100000), 'Referral '||i, 'Referral Note Cardiology', ` + words() + ` FROM n`, []any{n, word(org)}},
		step{"ANALYZE", nil})
}

// words is the text of a message: about thirty words, some of them telling.
func words() string {
	parts := []string{"'the " + Everywhere + " was seen in the practice and is referred for assessment with medicines as listed'"}
	for _, w := range []struct {
		word string
		of   int
	}{{Common, 10}, {Seldom, 1000}, {Rare, 100_000}} {
		parts = append(parts, fmt.Sprintf("CASE WHEN i%%%d=0 THEN ' %s' ELSE '' END", w.of, w.word))
	}
	for _, of := range []int{7, 31, 127, 509, 2039, 8191, 32749} { // a vocabulary like that of texts: many words, most of them seldom
		parts = append(parts, fmt.Sprintf("' word%d'||(i%%%d)", of, of))
	}
	return strings.Join(parts, "||")
}

// word is an organisation's id as the index writes it.
func word(org string) string {
	return "o" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(org))
}
