// Package corpus walks the public test corpus: documents, messages, certificates and
// path-validation suites that this project did not write, with their expected outcomes.
//
// The corpus is found by $POSTERN_CORPUS, else in ../shared/corpus beside the repository. Where it
// is absent a test skips and says so, or fails when $POSTERN_REQUIRE is 1 (as in CI). Files are read
// in place and never copied into the project.
package corpus

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Entry is one row of a folder's MANIFEST.tsv.
type Entry struct {
	File     string // path inside the folder, with slashes: the name to report
	Path     string // where the file is
	Expected string // the manifest's words about it
}

// Read is the file's content; a file that cannot be read ends the test.
func (e Entry) Read(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(e.Path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Dir is the corpus folder of that name, or a skip (a failure when required).
func Dir(t testing.TB, folder string) string {
	t.Helper()
	root := os.Getenv("POSTERN_CORPUS")
	if root == "" {
		root = filepath.Join(moduleRoot(t), "..", "shared", "corpus")
	}
	dir := filepath.Join(root, folder)
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("POSTERN_REQUIRE") == "1" {
			t.Fatalf("corpus required but not found: %v", err)
		}
		t.Skipf("corpus folder %s not found: set POSTERN_CORPUS to run this test", folder)
	}
	return dir
}

// Walk is every row of the folder's manifest, in its order.
func Walk(t testing.TB, folder string) []Entry {
	t.Helper()
	dir := Dir(t, folder)
	f, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []Entry
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for first := true; s.Scan(); first = false {
		cols := strings.Split(s.Text(), "\t")
		if first || len(cols) < 6 {
			continue
		}
		out = append(out, Entry{cols[0], filepath.Join(dir, filepath.FromSlash(cols[0])), cols[5]})
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatalf("manifest of %s names no file", folder)
	}
	return out
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}
