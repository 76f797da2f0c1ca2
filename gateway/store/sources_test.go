package store_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// piece is a piece of text in the sources of the package: all that stands together before the program adds something.
type piece struct {
	text  string
	at    string // file and line
	file  string
	whole bool // nothing is added to it where it stands
}

// pieces are all texts in the package's sources, tests left out, constants put in where they are named.
func pieces(t testing.TB) []piece {
	t.Helper()
	r := reader{constants: map[string]string{}}
	files := sources(t)
	for range 4 { // a constant may be made of others
		for _, f := range files {
			ast.Inspect(f.ast, r.learn)
		}
	}
	for _, f := range files {
		r.source = f
		ast.Inspect(f.ast, r.read)
	}
	if len(r.found) < 500 {
		t.Fatalf("only %d texts were found: the test does not see the package", len(r.found))
	}
	return r.found
}

// source is one file of the package.
type source struct {
	set *token.FileSet
	ast *ast.File
}

// sources are the package's files, tests left out.
func sources(t testing.TB) (all []source) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	ok(t, err)
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, name, nil, 0)
			ok(t, err)
			all = append(all, source{set, f})
		}
	}
	return all
}

type reader struct {
	source
	constants map[string]string
	found     []piece
}

// learn notes the constants of a declaration.
func (r *reader) learn(n ast.Node) bool {
	d, is := n.(*ast.GenDecl)
	if !is || d.Tok != token.CONST {
		return true
	}
	for _, s := range d.Specs {
		v := s.(*ast.ValueSpec)
		for i, name := range v.Names {
			if i < len(v.Values) {
				if text, known := r.value(v.Values[i]); known {
					r.constants[name.Name] = text
				}
			}
		}
	}
	return true
}

// value is a text that is the same at every run.
func (r *reader) value(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
	case *ast.Ident:
		s, known := r.constants[e.Name]
		return s, known
	case *ast.ParenExpr:
		return r.value(e.X)
	case *ast.BinaryExpr:
		a, knownA := r.value(e.X)
		b, knownB := r.value(e.Y)
		return a + b, e.Op == token.ADD && knownA && knownB
	}
	return "", false
}

// verbs are what fmt puts something in the place of.
var verbs = regexp.MustCompile(`%[dsqv]`)

func (r *reader) read(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec, *ast.Field: // tags of fields
		return false
	case *ast.BinaryExpr:
		if n.Op == token.ADD {
			r.sum(n)
			return false
		}
	case *ast.CallExpr:
		if f, is := n.Fun.(*ast.SelectorExpr); is && strings.HasPrefix(f.Sel.Name, "Sprintf") {
			if text, known := r.value(n.Args[0]); known {
				for _, part := range verbs.Split(text, -1) {
					r.add(n, part, false)
				}
				for _, a := range n.Args[1:] {
					ast.Inspect(a, r.read)
				}
				return false
			}
		}
	case *ast.BasicLit:
		if text, known := r.value(n); known {
			r.add(n, text, true)
		}
	}
	return true
}

// sum reads texts that are put together: what stands side by side in all runs is one piece.
func (r *reader) sum(n *ast.BinaryExpr) {
	var parts []ast.Expr
	var flatten func(ast.Expr)
	flatten = func(e ast.Expr) {
		if b, is := e.(*ast.BinaryExpr); is && b.Op == token.ADD {
			flatten(b.X)
			flatten(b.Y)
			return
		}
		parts = append(parts, e)
	}
	flatten(n)
	text, pending, whole := "", false, true
	flush := func() {
		if pending {
			r.add(n, text, false)
		}
		text, pending = "", false
	}
	for _, p := range parts {
		s, known := r.value(p)
		if known {
			text, pending = text+s, true
			continue
		}
		whole = false
		flush()
		ast.Inspect(p, r.read)
	}
	if whole {
		r.add(n, text, true)
		return
	}
	flush()
}

func (r *reader) add(n ast.Node, text string, whole bool) {
	at := r.set.Position(n.Pos())
	r.found = append(r.found, piece{text, fmt.Sprintf("%s:%d", at.Filename, at.Line), at.Filename, whole})
}

// sqliteFiles are where SQLite's own words may stand (see the package's doc).
var sqliteFiles = map[string]bool{"sqlite.go": true, "sqlite_search.go": true, "sqlite_snapshot.go": true}

// sqliteWords are words and forms that SQLite alone knows, or understands otherwise than PostgreSQL.
var sqliteWords = map[string]*regexp.Regexp{
	"instr":                         regexp.MustCompile(`(?i)\binstr\s*\(`),
	"INDEXED BY":                    regexp.MustCompile(`\b(NOT )?INDEXED\b`),
	"full text":                     regexp.MustCompile(`(?i)\bfts5\b|\bMATCH\b|\bsearch_text\b`),
	"functions of time":             regexp.MustCompile(`(?i)\b(strftime|julianday|unixepoch|datetime|timediff)\s*\(`),
	"LIMIT -1":                      regexp.MustCompile(`(?i)\bLIMIT\s+-`),
	"LIMIT a, b":                    regexp.MustCompile(`\bLIMIT\s+[?0-9]+\s*,`),
	"OR IGNORE, OR REPLACE":         regexp.MustCompile(`\b(INSERT|UPDATE)\s+OR\b|\bREPLACE\s+INTO\b`),
	"rowid":                         regexp.MustCompile(`(?i)\b(rowid|oid|last_insert_rowid|changes)\b\s*[=(<>,]|\b_rowid_\b`),
	"PRAGMA, VACUUM":                regexp.MustCompile(`\b(PRAGMA|VACUUM|ATTACH|REINDEX)\b`),
	"its own tables":                regexp.MustCompile(`\bsqlite_[a-z]+`),
	"numbered parameters":           regexp.MustCompile(`[=(,<> ]\?[0-9]`),
	"ifnull, iif":                   regexp.MustCompile(`(?i)\b(ifnull|iif|typeof|total|printf|randomblob|zeroblob|hex|quote|glob|unicode)\s*\(`),
	"group_concat":                  regexp.MustCompile(`(?i)\bgroup_concat\b`),
	"json functions":                regexp.MustCompile(`(?i)\bjson_?[a-z]*\s*\(`),
	"GLOB, REGEXP":                  regexp.MustCompile(`\b(GLOB|REGEXP)\b`),
	"COLLATE":                       regexp.MustCompile(`\b(COLLATE|NOCASE|RTRIM)\b`),
	"==":                            regexp.MustCompile(`[a-z?'] ?== ?[a-z?']`),
	"greatest by max, least by min": regexp.MustCompile(`\b(max|min)\([^()]*,`),
	"octets in the text":            regexp.MustCompile(`(?i)[=(, ]x'`),
	"AUTOINCREMENT":                 regexp.MustCompile(`\b(AUTOINCREMENT|WITHOUT ROWID|VIRTUAL TABLE)\b`),
}

// TestWordsOfSQLite holds that what only SQLite understands stands in its files, and that those files exist.
func TestWordsOfSQLite(t *testing.T) {
	for _, p := range pieces(t) {
		for what, word := range sqliteWords {
			if !sqliteFiles[p.file] && word.MatchString(p.text) {
				t.Errorf("%s: %s is SQLite's (%q): say it in a form that PostgreSQL knows, or in one of the files the package's doc names", p.at, what, word.FindString(p.text))
			}
		}
	}
	for name := range sqliteFiles {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

// schemaWords are SQLite's words in migrations that were released: the list may only become shorter.
var schemaWords = map[string][]string{
	"0001_first.sql":  {"AUTOINCREMENT"},
	"0002_trust.sql":  {"AUTOINCREMENT"},
	"0005_work.sql":   {"ifnull, iif"}, // hex(randomblob())
	"0007_search.sql": {"AUTOINCREMENT", "full text"},
}

// TestWordsOfSQLiteInTheSchema holds the same of migrations.
func TestWordsOfSQLiteInTheSchema(t *testing.T) {
	files, err := filepath.Glob("schema/*.sql")
	ok(t, err)
	for file := range schemaWords {
		if file > "0008" {
			t.Errorf("%s: a migration of today is said in words that both know", file)
		}
	}
	comment := regexp.MustCompile(`(?m)--.*$`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		ok(t, err)
		known := schemaWords[filepath.Base(file)]
		for what, word := range sqliteWords {
			is := word.MatchString(comment.ReplaceAllString(string(text), ""))
			listed := strings.Contains("|"+strings.Join(known, "|")+"|", "|"+what+"|")
			switch {
			case is && !listed:
				t.Errorf("%s: %s is SQLite's: say it in a form that PostgreSQL knows", file, what)
			case listed && !is:
				t.Errorf("%s: %s is listed here and not there", file, what)
			}
		}
	}
}
