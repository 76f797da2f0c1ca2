package keys_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/spool/keys"
	"postern/gateway/spool/seal"
)

func ring(t testing.TB, orgs ...string) *keys.Ring {
	t.Helper()
	m := keys.New()
	r := keys.NewRing(m)
	for _, o := range orgs {
		w, err := m.NewOrg(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.AddOrg(o, w); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestDataKeyOpensOnlyForItsBlobAndOrganisation(t *testing.T) {
	r := ring(t, "o-1", "o-2")
	key := seal.NewKey()
	w, err := r.WrapData("o-1", "b-1", key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.UnwrapData("o-1", "b-1", w); err != nil || got != key {
		t.Fatalf("own key does not open: %v", err)
	}
	if bytes.Contains(w, key[:8]) {
		t.Fatal("the key stands in clear in its wrapping")
	}
	flipped := bytes.Clone(w)
	flipped[20] ^= 1
	version := bytes.Clone(w)
	version[0] = 2
	cases := []struct {
		name, org, blob string
		wrapped         []byte
		want            error
	}{
		{"another blob", "o-1", "b-2", w, keys.ErrDamaged},
		{"another organisation", "o-2", "b-1", w, keys.ErrDamaged},
		{"an organisation without key", "o-3", "b-1", w, keys.ErrUnknownOrg},
		{"altered", "o-1", "b-1", flipped, keys.ErrDamaged},
		{"a later format", "o-1", "b-1", version, keys.ErrDamaged},
		{"cut", "o-1", "b-1", w[:10], keys.ErrDamaged},
		{"nothing", "o-1", "b-1", nil, keys.ErrDamaged},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := r.UnwrapData(c.org, c.blob, c.wrapped); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
	secret, err := r.SealSecret("o-1", "b-1", key[:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.UnwrapData("o-1", "b-1", secret); !errors.Is(err, keys.ErrDamaged) {
		t.Fatalf("a secret opened as a data key: %v", err)
	}
}

func TestSecretOpensOnlyForItsPurpose(t *testing.T) {
	r := ring(t, "o-1", "o-2")
	sealed, err := r.SealSecret("o-1", "credential/c-1", []byte("-----BEGIN"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.OpenSecret("o-1", "credential/c-1", sealed); err != nil || string(got) != "-----BEGIN" {
		t.Fatalf("own secret does not open: %v", err)
	}
	for _, c := range [][2]string{{"o-1", "credential/c-2"}, {"o-2", "credential/c-1"}} {
		if _, err := r.OpenSecret(c[0], c[1], sealed); !errors.Is(err, keys.ErrDamaged) {
			t.Errorf("opened for %v: %v", c, err)
		}
	}
	if _, err := r.SealSecret("o-1", "x", make([]byte, keys.MaxSecret+1)); err == nil {
		t.Error("a secret over the limit was sealed")
	}
	for _, p := range []string{"", strings.Repeat("x", keys.MaxName+1)} {
		if _, err := r.SealSecret("o-1", p, []byte("x")); err == nil {
			t.Errorf("purpose of %d octets was taken", len(p))
		}
	}
}

func TestWrongMasterKeyIsRecognised(t *testing.T) {
	right, wrong := keys.New(), keys.New()
	check := right.Check()
	if err := right.Matches(check); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]keys.Master{"another key": wrong, "no key": {}} {
		if err := m.Matches(check); !errors.Is(err, keys.ErrWrongKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w, err := right.NewOrg("o-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.NewRing(wrong).AddOrg("o-1", w); !errors.Is(err, keys.ErrDamaged) {
		t.Errorf("organisation key opened under another master key: %v", err)
	}
	if err := keys.NewRing(right).AddOrg("o-2", w); !errors.Is(err, keys.ErrDamaged) {
		t.Errorf("organisation key opened for another organisation: %v", err)
	}
	r := keys.NewRing(right)
	if err := r.AddOrg("o-1", w); err != nil {
		t.Fatal(err)
	}
	r.DropOrg("o-1")
	if _, err := r.WrapData("o-1", "b", seal.NewKey()); !errors.Is(err, keys.ErrUnknownOrg) {
		t.Errorf("after DropOrg: %v", err)
	}
	if _, err := (keys.Master{}).NewOrg("o"); err == nil {
		t.Error("no key made an organisation's key")
	}
}

func TestSheetSurvivesHandCopying(t *testing.T) {
	m := keys.New()
	sheet := m.Sheet()
	chars := ""
	for _, l := range strings.Split(sheet, "\n") {
		if strings.HasPrefix(l, "KEY ") {
			chars += l[7:]
		}
	}
	plain := strings.ReplaceAll(chars, " ", "")
	for name, text := range map[string]string{
		"whole sheet":       sheet,
		"windows line ends": strings.ReplaceAll(sheet, "\n", "\r\n"),
		"characters only":   chars,
		"lower case":        strings.ToLower(plain),
		"hyphens":           strings.ReplaceAll(chars, " ", "-"),
		"letter O for zero": strings.ReplaceAll(plain, "0", "o"),
		"letter l for one":  strings.ReplaceAll(plain, "1", "l"),
	} {
		got, err := keys.ParseSheet(text)
		if err != nil || got.Check() != m.Check() {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := byte('7')
	if plain[5] == other {
		other = '8'
	}
	for name, text := range map[string]string{
		"one character wrong":  plain[:5] + string(other) + plain[6:],
		"one missing":          plain[1:],
		"one too many":         plain + "0",
		"not of the alphabet":  "U" + plain[1:],
		"nothing":              "",
		"two rows, one marked": strings.Replace(sheet, "KEY 2", "KEZ 2", 1),
		"far too long":         strings.Repeat("0", keys.MaxFile+1),
	} {
		if _, err := keys.ParseSheet(text); !errors.Is(err, keys.ErrSheet) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSourceReadsButNeverMakesAKey(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	creds := filepath.Join(dir, "creds")
	for _, d := range []string{data, creds} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "master.key")
	src := keys.Source{File: file, Data: data}

	if _, err := src.Read(); !errors.Is(err, keys.ErrNoKey) {
		t.Fatalf("missing file: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Fatal("reading made a key file")
	}
	m := keys.New()
	if err := src.Save(m); err != nil {
		t.Fatal(err)
	}
	if err := src.Save(keys.New()); !errors.Is(err, keys.ErrExists) {
		t.Fatalf("second Save: %v", err)
	}
	got, err := src.Read()
	if err != nil || got.Check() != m.Check() {
		t.Fatalf("read back: %v", err)
	}

	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Read(); !errors.Is(err, keys.ErrReadable) {
		t.Fatalf("readable by the group: %v", err)
	}

	raw := bytes.Repeat([]byte{7}, 32)
	if err := os.WriteFile(filepath.Join(creds, keys.CredentialName), raw, 0o440); err != nil {
		t.Fatal(err)
	}
	fromCred, err := keys.Source{File: file, Credentials: creds, Data: data}.Read()
	if err != nil || fromCred.Check() == m.Check() {
		t.Fatalf("the credential does not come first: %v", err)
	}
	if _, err := (keys.Source{Credentials: dir, Data: data}).Read(); !errors.Is(err, keys.ErrNoKey) {
		t.Fatalf("no credential and no file: %v", err)
	}

	bad := filepath.Join(dir, "bad.key")
	if err := os.WriteFile(bad, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (keys.Source{File: bad}).Read(); !errors.Is(err, keys.ErrSheet) {
		t.Fatalf("a file of something else: %v", err)
	}
}

func TestKeyInsideTheDataDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(data, "k"), filepath.Join(data, "sub", "k"), filepath.Join(link, "k")} {
		src := keys.Source{File: file, Data: data}
		if err := src.Save(keys.New()); !errors.Is(err, keys.ErrInsideData) {
			t.Errorf("Save %s: %v", file, err)
		}
		if _, err := src.Read(); !errors.Is(err, keys.ErrInsideData) {
			t.Errorf("Read %s: %v", file, err)
		}
	}
	beside := keys.Source{File: filepath.Join(dir, "data.key"), Data: data}
	if err := beside.Save(keys.New()); err != nil {
		t.Errorf("a file beside the directory with a like name: %v", err)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	m := keys.New()
	if s := fmt.Sprintf("%v|%+v|%#v|%s", m, m, m, m); strings.Count(s, m.String()) != 4 {
		t.Errorf("a master key prints as %s", s)
	}
}

func FuzzParseSheet(f *testing.F) {
	f.Add(keys.New().Sheet())
	f.Add("KEY 1 \nKEY ")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := keys.ParseSheet(s)
		if err != nil {
			if !errors.Is(err, keys.ErrSheet) {
				t.Fatal(err)
			}
			return
		}
		if again, err := keys.ParseSheet(m.Sheet()); err != nil || again.Check() != m.Check() {
			t.Fatalf("a parsed key does not survive its own sheet: %v", err)
		}
	})
}
