package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/config"
)

// What is wrong with the key of a secondary is said before anything starts, with the setting's name.
func TestSecretsOfSecondaries(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	const good = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=\n"
	for _, c := range []struct{ name, file, want string }{
		{"good", file("good", good, 0o600), ""},
		{"missing", filepath.Join(dir, "missing"), "no such file"},
		{"readable by others", file("open", good, 0o640), "chmod 600"},
		{"too short", file("short", "c2hvcnQ=\n", 0o600), "no base64 of 16 octets"},
		{"not base64", file("text", "the secret of our secondary\n", 0o600), "no base64"},
		{"empty", file("empty", "", 0o600), "no base64"},
		{"something else", file("large", strings.Repeat("A", maxSecret+1), 0o600), "no TSIG key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config.Config{Path: "postern.toml", DNS: config.DNS{Secondary: map[string]config.Secondary{
				"ns2.example.net": {From: []string{"192.0.2.53"}, Key: "copy.example", SecretFile: c.file}}}}
			got, err := secondaries(cfg)
			switch {
			case c.want == "" && (err != nil || len(got) != 1 || got[0].Secret != strings.TrimSpace(good) || got[0].Notify[0] != "192.0.2.53:53"):
				t.Errorf("%+v, %v", got, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `dns.secondary."ns2.example.net".secret_file`)):
				t.Errorf("%v, want %q and the setting", err, c.want)
			}
		})
	}
}
