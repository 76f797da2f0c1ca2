package desk_test

import (
	"context"
	"database/sql"
	"testing"
)

// manyMessages is how many messages the benchmarks of pages stand on; one in two hundred is open.
const manyMessages = 1_000_000

// many fills the clinic's front desk with messages.
func (c *clinic) many(b *testing.B, n int) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+c.path+"?_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)&_pragma=cache_size(-200000)")
	c.ok(err)
	defer db.Close()
	const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?) "
	const at = "strftime('%Y-%m-%dT%H:%M:%fZ', '2028-01-01', '+' || i || ' minutes')"
	for _, query := range []string{
		"INSERT INTO item(inbox, number, org, message, recipient, also, sender, origin, rfc_id, thread, subject, received, blob, size, flags, receipt) SELECT 'referrals-o-1', i, '" + org + "', 'm-'||i, 'referrals@clinic.example', '[]', 'dr'||(i%5000)||'@hospital.example', 'peer', i||'@h', 'm-'||i, 'Referral '||i, " + at + ", 'b', 1000, '{}', '{}' FROM n",
		"INSERT INTO work SELECT 'w-'||i, '" + org + "', 'message', 'referrals-o-1', i, 'm-'||i, '', '" + c.desk.ID + "', CASE WHEN i%200=0 AND i%600<>0 THEN '' ELSE 'p-dana' END, CASE WHEN i%200<>0 THEN 'done' WHEN i%600=0 THEN 'taken' ELSE 'new' END, 'referral', CASE WHEN i%1000=0 THEN 'sensitive' ELSE 'referral' END, CASE WHEN i%20000=0 THEN 1 ELSE 2 END, i%1000=0, CASE WHEN i%7=0 THEN '' ELSE 'r-1' END, '{\"because\":[\"it was sent to referrals@clinic.example\"]}', '', '', 'm-'||i, '[]', " + at + ", '', " + at + ", CASE WHEN i%200<>0 THEN " + at + " ELSE '' END, 2 FROM n",
		"INSERT INTO document SELECT 'd-'||i, '" + org + "', 'referrals-o-1', i, '1', 'c-cda', 'Referral Note', '', 'Referral', '{\"name\":{\"given\":\"Ana\",\"family\":\"Ruiz\"}}', 'Dr', " + at + ", '', '', 'null' FROM n",
	} {
		_, err := db.ExecContext(context.Background(), numbers+query, n)
		c.ok(err)
	}
}

func BenchmarkPages(b *testing.B) {
	c := newClinic(b)
	c.many(b, manyMessages)
	for _, page := range []struct{ name, path string }{{"home", "/"}, {"open", "/work"}, {"pool", "/work?pool=" + c.desk.ID}, {"done", "/work?view=done"}, {"mine", "/work?view=mine"}} {
		dana := c.as(c.dana)
		b.Run(page.name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				size = len(dana.get(page.path))
			}
			b.ReportMetric(float64(size), "octets")
		})
	}
}
