package store_test

import (
	"database/sql"
	"fmt"
	"testing"

	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

// manyMessages is how many messages the benchmarks of lists stand on; one in two hundred is open.
const manyMessages = 1_000_000

// fill puts n messages into eight pools of an organisation, one in two hundred open, one in a hundred of them urgent.
func fill(b *testing.B, path, org string, n int) (pools []string) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)&_pragma=cache_size(-200000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	do := func(query string, args ...any) {
		if _, err := db.ExecContext(b.Context(), query, args...); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 8 {
		pools = append(pools, fmt.Sprintf("q-%d", i))
		do("INSERT INTO pool VALUES (?,?,?,'','',?,'',1,'','')", pools[i], org, fmt.Sprint("Team ", i), map[bool]int{true: 1}[i == 0])
	}
	do("INSERT INTO inbox VALUES ('many',?,'many',?,'')", org, n+1)
	const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?) "
	const at = "strftime('%Y-%m-%dT%H:%M:%fZ', '2028-01-01', '+' || i || ' minutes')"
	do(numbers+`INSERT INTO item(inbox, number, org, message, recipient, also, sender, origin, rfc_id, thread, subject, received, blob, size, flags, receipt)
		SELECT 'many', i, ?, 'm-'||i, 'a@clinic.example', '[]', 'dr'||(i%5000)||'@hospital.example', 'peer', i||'@h', 'm-'||i, 'Referral '||i, `+at+`, 'b', 1000, '{}', '{}' FROM n`, n, org)
	do(numbers+`INSERT INTO work SELECT 'w-'||i, ?, 'message', 'many', i, 'm-'||i, '', 'q-'||(i%8), CASE WHEN i%200=0 AND i%600<>0 THEN '' ELSE 'p-'||(i%40) END,
		CASE WHEN i%200<>0 THEN 'done' WHEN i%600=0 THEN 'taken' ELSE 'new' END, 'referral', CASE WHEN i%1000=0 THEN 'sensitive' ELSE 'referral' END, CASE WHEN i%20000=0 THEN 1 ELSE 2 END,
		i%1000=0, CASE WHEN i%7=0 THEN '' ELSE 'r-1' END, '{"because":["it was sent to a@clinic.example"]}', '', '', 'm-'||i, '[]', `+at+`, '', `+at+`, CASE WHEN i%200<>0 THEN `+at+` ELSE '' END, 2 FROM n`, n, org)
	do(numbers+`INSERT INTO document SELECT 'd-'||i, ?, 'many', i, '1', 'c-cda', 'Referral Note', '', 'Referral', '{"name":{"given":"Ana","family":"Ruiz"}}', 'Dr', `+at+`, '', '', 'null' FROM n`, n, org)
	do("ANALYZE")
	return pools
}

func BenchmarkWork(b *testing.B) {
	s := newSite(b)
	pools := fill(b, s.path, "o", manyMessages)
	var all, desk []store.Reach
	for _, p := range pools {
		all = append(all, store.Reach{Pool: p, All: true})
		desk = append(desk, store.Reach{Pool: p, Only: []staff.Category{"", staff.Referral, staff.Records}})
	}
	for _, v := range store.Views() {
		for name, reach := range map[string][]store.Reach{"all": all, "some": desk} {
			b.Run(fmt.Sprintf("list/%s/%s", v, name), func(b *testing.B) {
				for b.Loop() {
					if _, err := s.WorkList(b.Context(), store.WorkQuery{Org: "o", Reach: reach, View: v, Owner: "p-7", N: 51}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run("count/"+string(v), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.WorkCounts(b.Context(), store.WorkQuery{Org: "o", Reach: all, View: v, Owner: "p-7"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
