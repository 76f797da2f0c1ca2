package smime_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every leniency stands in the package doc with its test, and some test expects it.
func TestEveryLeniencyIsWrittenDownAndTested(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "report.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := ""
	names, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		tests += string(b)
	}
	count := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Lenient") {
			return true
		}
		count++
		name, value := spec.Names[0].Name, spec.Values[0].(*ast.BasicLit).Value
		_, rest, found := strings.Cut(string(doc), "//   - "+value)
		if !found {
			t.Errorf("%s (%s) is not in the package doc", name, value)
			return true
		}
		entry, _, _ := strings.Cut(rest, "//   - ")
		_, test, _ := strings.Cut(entry, "(Test")
		test, _, _ = strings.Cut(test, ")")
		for _, one := range strings.Split(test, ", ") {
			if !strings.Contains(tests, "func Test"+strings.TrimPrefix(one, "Test")+"(") {
				t.Errorf("%s: the doc names a test that does not exist: Test%s", value, one)
			}
		}
		if !strings.Contains(tests, "smime."+name) {
			t.Errorf("%s is expected by no test", name)
		}
		return true
	})
	if count < 17 {
		t.Errorf("only %d leniencies found", count)
	}
}
