package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTrustBundle(t *testing.T) {
	dir := opensslPKI(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.ServeFile(w, r, filepath.Join(dir, "ca.p7b"))
	}))
	defer s.Close()
	both := filepath.Join(dir, "both.pem")
	var text []byte
	for _, n := range []string{"ca.pem", "leaf.pem"} {
		b, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	if err := os.WriteFile(both, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(dir, "ca.p7b")
	for _, c := range []struct {
		name string
		args []string
		code int
		word string
	}{
		{"show", []string{"show", ca}, exitDone, "1 anchors, not signed"},
		{"show what is left out", []string{"show", both}, exitDone, "leaf: Dr leaf"},
		{"show with leaves", []string{"show", "--leaf", both}, exitDone, "2 anchors"},
		{"show from a server", []string{"show", "--allow", "127.0.0.0/8", s.URL}, exitDone, "Test CA"},
		{"a server in a private range", []string{"show", s.URL}, exitRefused, "blocked"},
		{"a busy server", []string{"show", "--allow", "127.0.0.0/8", s.URL + "/busy"}, exitNotYet, "download_timeout"},
		{"unsigned, signature demanded", []string{"show", ca, "--signer", filepath.Join(dir, "ca.pem")}, exitRefused, "unsigned"},
		{"not a bundle", []string{"show", filepath.Join(dir, "c.cnf")}, exitRefused, "invalid_bundle_format"},
		{"no file", []string{"show"}, exitUsage, "1 bundles are needed"},
		{"diff", []string{"diff", "--leaf", both, ca}, exitDone, "0 added, 1 removed (50 %), 1 kept"},
		{"diff of one", []string{"diff", ca}, exitUsage, "2 bundles"},
		{"odd range", []string{"show", "--allow", "office", s.URL}, exitUsage, "range"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o, e bytes.Buffer
			code := run(context.Background(), &console{in: strings.NewReader(""), out: &o, err: &e, env: func(string) string { return "" }}, append([]string{"trust", "bundle"}, c.args...))
			if code != c.code || !strings.Contains(o.String()+e.String(), c.word) {
				t.Errorf("exit %d, want %d with %q\n%s%s", code, c.code, c.word, o.String(), e.String())
			}
		})
	}
	var o bytes.Buffer
	run(context.Background(), &console{in: strings.NewReader(""), out: &o, err: &o, env: func(string) string { return "" }}, []string{"trust", "bundle", "diff", "--json", ca, ca})
	var d struct{ V, Kept int }
	if err := json.Unmarshal(o.Bytes(), &d); err != nil || d.V != 1 || d.Kept != 1 {
		t.Errorf("%s %v", o.String(), err)
	}
}
