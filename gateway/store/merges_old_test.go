package store

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestMergesFromBeforeTheyWereKept: what an earlier gateway merged can be taken apart too.
func TestMergesFromBeforeTheyWereKept(t *testing.T) {
	all, err := migrations(schemaFiles)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(m migration) bool { return m.number == 12 })
	db := database(t)
	at := func(ms int) string {
		return stamp(time.Date(2030, 1, 2, 3, 4, 5, ms*int(time.Millisecond), time.UTC))
	}
	if err := migrate(db, all[:i], time.Now()); err != nil {
		t.Fatal(err)
	}
	const link = "INSERT INTO patient_link (id, org, work, patient, how, reasons, made_by, at, undone_by, undone) VALUES (?,'o',?,?,?,'[]','dana',?,?,?)"
	for _, q := range [][]any{
		{"PRAGMA foreign_keys=OFF"},
		{"INSERT INTO patient VALUES ('pt-a','o','merged','ruiz','','{}','pt-b',?,?)", at(0), at(500)},
		{"INSERT INTO patient VALUES ('pt-b','o','confirmed','ruiz','','{}','',?,?)", at(0), at(0)},
		{link, "pl-1", "w-1", "pt-a", "confirmed", at(10), "sam", at(500)},
		{link, "pl-2", "w-1", "pt-b", "merged", at(502), "", ""}, // stamped a moment later
		{link, "pl-3", "w-2", "pt-a", "confirmed", at(10), "dana", at(20)},
		{link, "pl-4", "w-3", "pt-b", "confirmed", at(10), "", ""},
	} {
		if _, err := db.Exec(q[0].(string), q[1:]...); err != nil {
			t.Fatalf("%s: %v", q[0], err)
		}
	}
	if err := migrate(db, all, time.Now()); err != nil {
		t.Fatal(err)
	}
	var got string
	rows, err := db.Query("SELECT m.gone, m.into_id, m.state, m.made_by, m.at, v.work, v.was, v.link FROM patient_merge m JOIN patient_merge_move v ON v.merge=m.id ORDER BY v.work")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c [8]string
		if err := rows.Scan(&c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7]); err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprintln(c)
	}
	if want := fmt.Sprintln([8]string{"pt-a", "pt-b", "provisional", "sam", at(500), "w-1", "pl-1", "pl-2"}); got != want || rows.Err() != nil {
		t.Errorf("moves\n%s, want\n%s %v", got, want, rows.Err())
	}
}
