package store

// Full text in the words of SQLite's FTS5, as schema/0007_search.sql makes it. The index keeps no texts, and the number
// of its row is search_entry.seq. What package search makes of a question (Query.Match) is in FTS5's words too: terms
// in quotes, "*" behind a beginning, AND, OR and NOT, and a column before ":".

const (
	addWords  = "INSERT INTO search_text (rowid, org, sender, recipient, patient, subject, kind, text) VALUES (?,?,?,?,?,?,?,?)"
	dropWords = "DELETE FROM search_text WHERE rowid=?"
)

// placesBelow counts the places that match, from the newest below one down to another, as far as a limit, and says
// which is the last of them: what matches, the lowest, the one above the highest, how many.
const placesBelow = `SELECT count(*), coalesce(min(seq), 0) FROM (SELECT rowid AS seq FROM search_text
	WHERE search_text MATCH ? AND rowid>=? AND rowid<? ORDER BY rowid DESC LIMIT ?) places`

// wordsIn is a question for work rows (k) and their items (i) whose words match, newest first, within such places and
// under a further condition.
func wordsIn(columns, where string) string {
	return "SELECT " + columns + `, e.seq FROM search_text t JOIN search_entry e ON e.seq=t.rowid JOIN work k ON k.id=e.work
		JOIN item i ON i.inbox=k.inbox AND i.number=k.number WHERE t.search_text MATCH ? AND t.rowid>=? AND t.rowid<? AND ` + where + `
		ORDER BY t.rowid DESC LIMIT ?`
}

// ofOrg is what matches of one organisation: its word is in every row of the index.
func ofOrg(org, match string) string { return "org : " + orgWord(org) + " AND (" + match + ")" }
