package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/lab/postgres"
)

// literal puts values into a statement where its parameters are.
func literal(query string, values ...any) string {
	return parameters(query, func(n int) string {
		if text, is := values[n-1].(string); is {
			return "'" + strings.ReplaceAll(text, "'", "''") + "'"
		}
		return fmt.Sprint(values[n-1])
	})
}

// TestPostgreSQLAnswersAlike holds that both engines answer alike where the statements are alike only in their words,
// and that PostgreSQL's own forms do what those of SQLite do.
func TestPostgreSQLAnswersAlike(t *testing.T) {
	server := postgres.Start(t)
	if _, complaints := server.Run(t, postgresSchema(t)); complaints != "" {
		t.Fatalf("the schema: %s", complaints)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "alike.db"))
	ok(t, err)
	t.Cleanup(func() { db.Close() })
	for name, q := range map[string]struct{ lite, post string }{
		"text by its octets":       {"WITH v(x) AS (VALUES ('b'),('B'),('-'),('_'),('é'),('2030-01-01'),('2030'),('')) SELECT x FROM v ORDER BY x", ""},
		"letters of ASCII only":    {"SELECT lower('ÄBC') || lower('İ')", ""},
		"an empty sum of text":     {"SELECT coalesce((SELECT string_agg(x, ' ') FROM (SELECT 'a' AS x WHERE 1=0) v), 'none')", ""},
		"text one after another":   {"WITH v(x) AS (VALUES ('q-2'),('q-1'),('q-2')) SELECT string_agg(x, ' ') FROM (SELECT DISTINCT x FROM v ORDER BY x) theirs", ""},
		"a list of pairs":          {"SELECT a || b FROM (SELECT 'x' AS a, 5 AS b UNION ALL SELECT 'y', 6) v WHERE (a, b) IN (VALUES ('x',CAST(6 AS BIGINT)),('y',6))", ""},
		"a cursor of two columns":  {"SELECT a FROM (SELECT 'x' AS a, 5 AS b UNION ALL SELECT 'x', 6 UNION ALL SELECT 'y', 1) v WHERE (a, b)>('x',5) ORDER BY a, b", ""},
		"a pattern with its signs": {`SELECT 'a_b%c\d' LIKE '%\_b\%c\\%' ESCAPE '\', 'axbyc' LIKE '%\_%' ESCAPE '\'`, ""},
		"a piece left out":         {`SELECT replace('["a@b"]', '"a@b"', '')<>'["a@b"]', replace('x', '', 'y')='x'`, ""},
		"an instant later":         {literal("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?, ? || ' seconds')", "2028-02-28T23:59:59.750Z", 86400.5), literal("SELECT "+moved("?"), "2028-02-28T23:59:59.750Z", 86400.5)},
		"an instant earlier":       {literal("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?, ? || ' seconds')", "2030-01-01T00:00:00.000Z", -3600.0), literal("SELECT "+moved("?"), "2030-01-01T00:00:00.000Z", -3600.0)},
	} {
		t.Run(name, func(t *testing.T) {
			if q.post == "" {
				q.post = q.lite
			}
			got, complaints := server.Run(t, q.post+";\n")
			if want := answer(t, db, q.lite); got != want || complaints != "" {
				t.Errorf("PostgreSQL says %q, %s, and SQLite %q", got, complaints, want)
			}
		})
	}
	searched(t, server)
}

// answer is what SQLite answers, as PostgreSQL's client would write it.
func answer(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	ok(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	ok(t, err)
	var b strings.Builder
	for rows.Next() {
		values, at := make([]any, len(names)), make([]any, len(names))
		for i := range at {
			at[i] = &values[i]
		}
		ok(t, rows.Scan(at...))
		for i, v := range values {
			text := fmt.Sprint(v)
			if n, is := v.(int64); is && (n == 0 || n == 1) { // all such are conditions here
				text = map[int64]string{0: "f", 1: "t"}[n]
			}
			b.WriteString(map[bool]string{true: "|"}[i > 0] + text)
		}
		b.WriteString("\n")
	}
	ok(t, rows.Err())
	return b.String()
}

// searched holds that the forms for full text put words in, find them from the newest, and take them out.
func searched(t *testing.T, server *postgres.Server) {
	t.Helper()
	form := func(begins string) string {
		for _, r := range refused {
			if strings.HasPrefix(r.begins, begins) {
				return r.instead
			}
		}
		t.Fatalf("there is no form of %s", begins)
		return ""
	}
	add, drop, places := form("INSERT INTO search_text"), form("DELETE FROM search_text"), form("SELECT count(*), coalesce(min(seq), 0) FROM (SELECT rowid")
	var script []string
	for seq, text := range map[int]string{10: "knee pain", 20: "chest pain", 30: "a letter"} {
		script = append(script, literal(add, seq, "oclinic", "dr@h.example", "Dr", "Ana Ruiz", "Referral", "note", text))
	}
	for _, ask := range []string{"oclinic & pain", "oclinic & ches:*", "oother & pain", "oclinic & ruiz:B"} {
		script = append(script, literal(places, ask, 0, 100, 2))
	}
	script = append(script, literal(drop, 20), literal(places, "oclinic & pain", 0, 100, 2))
	got, complaints := server.Run(t, strings.Join(script, ";\n")+";\n")
	if want := "2|10\n1|20\n0|0\n2|20\n1|10\n"; got != want || complaints != "" {
		t.Errorf("the searches find %q, %s; want %q", got, complaints, want)
	}
}
