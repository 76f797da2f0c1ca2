package store

import "strings"

// holds is, behind a column, the condition that it has a piece of text in it, which holding makes its parameter.
// SQLite's LIKE takes capital and small letters of ASCII for the same and PostgreSQL's does not: so both sides are in
// small letters, or digits.
const holds = ` LIKE ? ESCAPE '\'`

// holding is the pattern for a piece of text.
func holding(piece string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(piece) + "%"
}
