package track_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"postern/gateway/delivery/track"
)

// TestEveryKindHasWords reads the kinds from the source: a new one cannot be forgotten.
func TestEveryKindHasWords(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(f, func(x ast.Node) bool {
		spec, ok := x.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Kind" {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		s, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		if n++; track.Kind(s).Words() == s {
			t.Errorf("%s has no words", s)
		}
		return true
	})
	if n < 30 {
		t.Fatalf("only %d kinds were seen", n)
	}
}
