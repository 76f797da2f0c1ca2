package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTrustPolicy(t *testing.T) {
	dir := opensslPKI(t)
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	leaf, enc, ca := filepath.Join(dir, "leaf.pem"), filepath.Join(dir, "enc.pem"), filepath.Join(dir, "ca.pem")
	never, always, broken := file("never", "never: false\n"), file("always", "always: true\n"), file("broken", "a: cert.key_bits + 1\n")
	for _, c := range []struct {
		name string
		args []string
		code int
		word string
	}{
		{"names", []string{"policy", "show"}, exitDone, "network-basic"},
		{"text", []string{"policy", "show", "strict-v1.3"}, exitDone, "one-name:"},
		{"no such policy", []string{"policy", "show", "lax"}, exitRefused, "there are"},
		{"one passes, one is refused", []string{"policy", "test", "--policy", "network-basic", leaf, enc}, exitRefused, "rule revocable"},
		{"all pass", []string{"policy", "test", "--policy", "pilot", leaf}, exitDone, "pass     Dr leaf"},
		{"refuses everything", []string{"policy", "test", "--policy", never, leaf, enc}, exitRefused, "refuses every one"},
		{"refuses nothing", []string{"policy", "test", "--policy", always, leaf, enc}, exitDone, "refuses none"},
		{"JSON", []string{"policy", "test", "--json", "--policy", "network-basic", leaf, enc}, exitRefused, `"refused":1`},
		{"not a policy", []string{"policy", "test", "--policy", broken, leaf}, exitUsage, "line 1"},
		{"no policy named", []string{"policy", "test", leaf}, exitUsage, "--policy"},
		{"verify with a policy", []string{"verify", "--anchor", ca, "--policy", "network-basic", leaf}, exitDone, "own policy allow it"},
		{"verify refused by a policy", []string{"verify", "--anchor", ca, "--policy", "strict-v1.3", leaf}, exitRefused, "own_policy"},
		{"verify with what is no policy", []string{"verify", "--anchor", ca, "--policy", broken, leaf}, exitUsage, "not true or false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o, e bytes.Buffer
			code := run(context.Background(), &console{in: strings.NewReader(""), out: &o, err: &e, env: func(string) string { return "" }}, append([]string{"trust"}, c.args...))
			if code != c.code || !strings.Contains(o.String()+e.String(), c.word) {
				t.Errorf("exit %d, want %d with %q\n%s%s", code, c.code, c.word, o.String(), e.String())
			}
		})
	}
}
