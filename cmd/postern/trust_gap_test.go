package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway"
)

// Retiring the last certificate of a domain says what that does; retiring one of two says nothing.
func TestRetiringTheLastCertificateIsWarnedOf(t *testing.T) {
	now := time.Now()
	row := func(id string, f func(*gateway.CertInfo)) gateway.CertInfo {
		c := gateway.CertInfo{ID: id, Domain: "clinic.example", CanSign: true, CanDecrypt: true, Published: true, Expires: now.Add(time.Hour)}
		if f != nil {
			f(&c)
		}
		return c
	}
	gone := row("aaaaaaaa", func(c *gateway.CertInfo) { c.Retired, c.Published = now, false })
	for _, c := range []struct {
		what  string
		other gateway.CertInfo
		says  string // "" is silence
	}{
		{"another is in use", row("b", nil), ""},
		{"another is over", row("b", func(c *gateway.CertInfo) { c.Expires = now.Add(-time.Hour) }), "nobody can write"},
		{"another is published first", row("b", func(c *gateway.CertInfo) { c.SignsFrom = now.Add(time.Hour) }), "nothing can be sent"},
		{"another is of one address", row("b", func(c *gateway.CertInfo) { c.Address = "a@clinic.example" }), "nobody can write"},
		{"another is of another domain", row("b", func(c *gateway.CertInfo) { c.Domain = "two.example" }), "nobody can write"},
	} {
		var text bytes.Buffer
		(&console{err: &text}).warnOfGap([]gateway.CertInfo{c.other, gone}, "aaaaaaaa", now)
		if c.says == "" && text.Len() > 0 || !strings.Contains(text.String(), c.says) {
			t.Errorf("%s: %q", c.what, text.String())
		}
	}
}

func TestAListOfKeyFilesAsSpreadsheetsWriteIt(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list.csv")
	for _, c := range []struct{ what, text, says string }{
		{"with a mark before it", "\xef\xbb\xbffile,password_file\r\na.p12,\r\n", ""},
		{"a column twice", "file,file\na.p12,b.p12\n", "line 1: column file is there twice"},
	} {
		if err := os.WriteFile(list, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := keyList(list)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || err == nil && len(got) != 1 {
			t.Errorf("%s: %v %v", c.what, got, err)
		}
	}
}

func TestABundlesSettingsInWords(t *testing.T) {
	got := settingsWords(`{"interval_ns":43200000000000,"auto":true,"max_removed_percent":10}`)
	if got != "every 12h0m0s, no signer demanded, applied by itself up to 10 % removed" {
		t.Error(got)
	}
}
