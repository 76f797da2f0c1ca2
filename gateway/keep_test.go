package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/audit"
	"postern/gateway/backup"
	"postern/gateway/config"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/spool/keys"
)

// backedUp is a clinic with an item in its inbox, and its backup.
func backedUp(t *testing.T) (w *world, dir string, manifest backup.Manifest) {
	t.Helper()
	w = newWorld(t, "")
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	big := w.note(w.dr, w.intake) + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 20_000) // a file of its own, not the log
	w.reach(w.hospital, w.send(w.hospital, big, w.dr, w.intake), w.intake, track.StateDone)
	w.items(w.clinic, "intake", 2)
	dir = filepath.Join(t.TempDir(), "backup")
	manifest, err := w.clinic.Admin().Backup(w.ctx, dir)
	w.ok(err)
	return w, dir, manifest
}

func (w *world) restore(s *lab.Site, from, to string) (backup.Restored, error) {
	return gateway.Restore(w.ctx, gateway.RestoreOptions{Backup: from, Dir: to, Key: keys.Source{File: s.Config.MasterKey}, Actor: "test", Now: w.Clock.Now})
}

func TestABackupOfARunningSiteRestores(t *testing.T) {
	w, dir, m := backedUp(t)
	if m.Counts["item"] != 2 || m.Counts["message"] < 4 || m.Blobs < 4 || m.Blobs != m.Counts["blob"] {
		t.Fatalf("manifest %+v", m)
	}
	want := w.saved(w.clinic, w.items(w.clinic, "intake", 2)[0])
	to := filepath.Join(t.TempDir(), "site")
	r, err := w.restore(w.clinic, dir, to)
	w.ok(err)
	if r.Parked != m.Counts["job"] || r.Audit != m.Counts["audit"] {
		t.Errorf("restored %+v of %+v", r, m)
	}
	c, err := config.Load(filepath.Join(to, "postern.toml"))
	w.ok(err)
	s, err := gateway.Open(w.ctx, c, gateway.Options{Now: w.Clock.Now})
	w.ok(err)
	defer s.Close()
	items, err := s.Store.Items(w.ctx, "intake", 0, 10)
	w.ok(err)
	if len(items) != 2 {
		t.Fatalf("%d items in the restored inbox", len(items))
	}
	body, _, err := s.As("test").Raw(w.ctx, "intake", items[1].Number)
	w.ok(err)
	defer body.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(body); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the restored message is another (%v)", err)
	}
	jobs, err := s.Store.Jobs(w.ctx, "")
	w.ok(err)
	for _, j := range jobs {
		if !j.Parked {
			t.Errorf("job %d (%s) would run in a restored site before anybody looked", j.ID, j.Kind)
		}
	}
}

func TestABackupHoldsNoKeyAndNoText(t *testing.T) {
	w, dir, _ := backedUp(t)
	key, err := os.ReadFile(w.clinic.Config.MasterKey)
	w.ok(err)
	for _, name := range []string{"postern.db", "blobs.tar", "postern.toml", "manifest.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		w.ok(err)
		if bytes.Contains(b, key) || bytes.Contains(b, bytes.TrimSpace(key)) {
			t.Errorf("%s holds the master key", name)
		}
		if bytes.Contains(b, []byte("ClinicalDocument")) || bytes.Contains(b, []byte("Please call back")) {
			t.Errorf("%s holds what a message says", name)
		}
	}
}

// TestVerifyFindsWhatIsWrong: each fault must be found, and named.
func TestVerifyFindsWhatIsWrong(t *testing.T) {
	w, dir, _ := backedUp(t)
	file := func(dir, name string) string { return filepath.Join(dir, name) }
	other := filepath.Join(t.TempDir(), "other.key")
	w.ok(keys.Source{File: other}.Save(keys.New()))
	for _, c := range []struct {
		situation string
		spoil     func(dir string)
		key       string
		want      error
	}{
		{"nothing", func(string) {}, "", nil},
		{"no manifest: it was not finished", func(d string) { w.ok(os.Remove(file(d, "manifest.json"))) }, "", backup.ErrNone},
		{"one octet of the bytes", func(d string) { flip(t, file(d, "blobs.tar"), 5000) }, "", backup.ErrDamaged},
		{"one octet of the database", func(d string) { flip(t, file(d, "postern.db"), 5000) }, "", backup.ErrDamaged},
		{"bytes cut off", func(d string) { w.ok(os.Truncate(file(d, "blobs.tar"), 3000)) }, "", backup.ErrDamaged},
		{"bytes of another backup, digest made to fit", func(d string) { refit(t, d, "blobs.tar", func(b []byte) []byte { b[5000] ^= 1; return b }) }, "", backup.ErrDamaged},
		{"a blob left out, digest made to fit", func(d string) { refit(t, d, "blobs.tar", func([]byte) []byte { return make([]byte, 1024) }) }, "", backup.ErrDamaged},
		{"a message removed from the database, digest made to fit", func(d string) {
			refit(t, d, "postern.db", func(b []byte) []byte {
				return statement(t, b, "DELETE FROM message WHERE id=(SELECT max(id) FROM message)")
			})
		}, "", backup.ErrDamaged},
		{"an audit entry changed, digest made to fit", func(d string) {
			refit(t, d, "postern.db", func(b []byte) []byte { return statement(t, b, "UPDATE audit SET actor='nobody' WHERE seq=1") })
		}, "", backup.ErrDamaged},
		{"another master key", func(string) {}, other, backup.ErrOtherKey},
	} {
		t.Run(c.situation, func(t *testing.T) {
			spoilt := filepath.Join(t.TempDir(), "b")
			w.ok(os.CopyFS(spoilt, os.DirFS(dir)))
			c.spoil(spoilt)
			if c.key == "" {
				c.key = w.clinic.Config.MasterKey
			}
			_, err := gateway.VerifyBackup(w.ctx, gateway.RestoreOptions{Backup: spoilt, Key: keys.Source{File: c.key}, Actor: "test", Now: time.Now})
			if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("verify: %v, want %v", err, c.want)
			}
		})
	}
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// refit changes a file and writes its digest into the manifest, as someone would who wants it believed.
func refit(t *testing.T, dir, name string, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = change(b)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	reseal(t, dir, name, b)
}

// statement runs one statement on a database given as octets.
func statement(t *testing.T, b []byte, text string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(text)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAuditIsListedAndVerified(t *testing.T) {
	w := newWorld(t, "")
	a := w.clinic.Admin()
	w.mode(w.clinic, "pause")
	list, err := a.AuditList(w.ctx, gateway.AuditArg{Action: "queue."})
	w.ok(err)
	if len(list) != 1 || list[0].Action != "queue.pause" || list[0].Actor != "lab" {
		t.Errorf("audit of the queue: %+v", list)
	}
	v, err := a.AuditVerify(w.ctx, nil)
	w.ok(err)
	if len(v.Heads) != 1 || v.Entries != v.Heads[0].Seq || v.Entries < 5 {
		t.Errorf("verified %+v", v)
	}
	if _, err := a.AuditVerify(w.ctx, v.Heads); err != nil {
		t.Errorf("through its own head: %v", err)
	}
	beyond := []audit.Head{{Node: v.Heads[0].Node, Seq: v.Heads[0].Seq + 1, Hash: "x"}}
	var broken *audit.BrokenError
	if _, err := a.AuditVerify(w.ctx, beyond); !errors.As(err, &broken) || broken.Reason != audit.CutOff {
		t.Errorf("cut off: %v", err)
	}
}

func reseal(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	path := filepath.Join(dir, "manifest.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m backup.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	m.SHA256[name] = hex.EncodeToString(sum[:])
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
