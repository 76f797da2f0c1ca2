package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"postern/gateway/audit"
	"postern/gateway/backup"
	"postern/gateway/config"
	"postern/gateway/spool/keys"
)

// Backup copies the whole site into dir while it runs. The sweep waits meanwhile.
func (a Admin) Backup(ctx context.Context, dir string) (backup.Manifest, error) {
	if !filepath.IsAbs(dir) {
		return backup.Manifest{}, fmt.Errorf("gateway: backup: %s is not an absolute path", dir)
	}
	s := a.s
	s.keeping.Lock()
	defer s.keeping.Unlock()
	m, err := backup.Write(ctx, backup.Source{Store: s.Store, Spool: s.Spool, Config: s.Config.Path, Hostname: s.Config.Hostname,
		KeyNumber: s.keyNumber, Now: s.now}, dir)
	if err != nil {
		return m, err
	}
	return m, s.Store.AuditAct(ctx, a.entry("backup.write", dir, map[string]any{"blobs": m.Blobs, "octets": m.Octets}))
}

// RestoreOptions say what is restored and where.
type RestoreOptions struct {
	Backup string
	Dir    string // new or empty
	Key    keys.Source
	Actor  string
	Now    func() time.Time
}

// Restore makes a site of a backup: configuration, database, bytes, the master key given, and a self-signed
// TLS certificate where the configuration names one that is not there. Every blob is authenticated, the audit
// verified, and the site opened once. Its queue is parked.
func Restore(ctx context.Context, o RestoreOptions) (r backup.Restored, err error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return r, fmt.Errorf("gateway: restore: %w", err)
	}
	o.Key.Data = filepath.Join(dir, "data")
	master, err := o.Key.Read()
	if err != nil {
		return r, err
	}
	r, err = backup.Restore(ctx, o.Backup, backup.Target{Dir: dir, Master: master, KeyCheck: metaKeyCheck, Actor: o.Actor, Now: o.Now})
	if err != nil {
		return r, err
	}
	file := filepath.Join(dir, "postern.toml")
	c, err := config.Load(file)
	if err != nil {
		return r, err
	}
	if c.Data != o.Key.Data {
		return r, fmt.Errorf("gateway: restore: %s is restored, but its postern.toml keeps data in %s: set data = \"data\" in it", dir, c.Data)
	}
	if err := complete(c, dir, master, o.Now()); err != nil {
		return r, err
	}
	return r, tryOpen(ctx, c, o)
}

// complete puts back what a backup does not have: the master key and a TLS certificate, where the
// configuration looks for them inside the site's folder.
func complete(c config.Config, dir string, master keys.Master, now time.Time) error {
	inside := func(path string) bool {
		rel, err := filepath.Rel(dir, path)
		return err == nil && filepath.IsLocal(rel)
	}
	if c.MasterKey != "" && inside(c.MasterKey) {
		if err := (keys.Source{File: c.MasterKey, Data: c.Data}).Save(master); err != nil {
			return err
		}
	}
	if c.TLS.Certificate == filepath.Join(dir, "tls", "cert.pem") && c.TLS.Key == filepath.Join(dir, "tls", "key.pem") {
		if err := os.MkdirAll(filepath.Join(dir, "tls"), 0o700); err != nil {
			return fmt.Errorf("gateway: restore: %w", err)
		}
		return selfSigned(filepath.Join(dir, "tls"), c.Hostname, now)
	}
	return nil
}

// tryOpen opens a restored site as a gateway would, and closes it.
func tryOpen(ctx context.Context, c config.Config, o RestoreOptions) error {
	if c.MasterKey == "" || o.Key.File != "" && !exists(c.MasterKey) {
		c.MasterKey = o.Key.File
	}
	s, err := Open(ctx, c, Options{Now: o.Now, Credentials: o.Key.Credentials})
	if err != nil {
		return fmt.Errorf("gateway: the restored site does not open: %w", err)
	}
	lost := s.lost
	if err := s.Close(); err != nil {
		return err
	}
	if lost > 0 {
		return fmt.Errorf("gateway: the restored site lacks the bytes of %d blobs", lost)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// VerifyBackup proves a backup by restoring it into a folder that goes again. Nothing of it is ever in clear.
func VerifyBackup(ctx context.Context, o RestoreOptions) (r backup.Restored, err error) {
	tmp, err := os.MkdirTemp("", "postern-verify-")
	if err != nil {
		return r, fmt.Errorf("gateway: verify: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	o.Dir = filepath.Join(tmp, "site")
	return Restore(ctx, o)
}

// AuditArg asks for audit entries.
type AuditArg struct {
	Limit  int    `json:"limit"`            // the newest so many; 0 is all, up to MaxAuditList
	Action string `json:"action,omitempty"` // only this action, or those below it ("queue." for all of the queue)
}

// MaxAuditList bounds one list of audit entries.
const MaxAuditList = 10_000

// AuditList lists audit entries, oldest first.
func (a Admin) AuditList(ctx context.Context, in AuditArg) ([]audit.Entry, error) {
	if in.Limit <= 0 || in.Limit > MaxAuditList {
		in.Limit = MaxAuditList
	}
	out := []audit.Entry{}
	for e, err := range a.s.Store.AuditEntries(ctx) {
		if err != nil {
			return nil, err
		}
		if in.Action != "" && e.Action != in.Action && !below(e.Action, in.Action) {
			continue
		}
		if len(out) == in.Limit {
			out = append(out[:0], out[1:]...)
		}
		out = append(out, e)
	}
	return out, nil
}

func below(action, prefix string) bool {
	return prefix[len(prefix)-1] == '.' && len(action) > len(prefix) && action[:len(prefix)] == prefix
}

// Audited is what verifying the audit found.
type Audited struct {
	Entries int64        `json:"entries"`
	Heads   []audit.Head `json:"heads"` // note them elsewhere: a chain that was cut off or written anew does not lead through them
}

// AuditVerify checks every node's chain against itself and against heads noted elsewhere.
func (a Admin) AuditVerify(ctx context.Context, known []audit.Head) (Audited, error) {
	heads, err := audit.Verify(a.s.Store.AuditEntries(ctx), known...)
	out := Audited{Heads: heads}
	for _, h := range heads {
		out.Entries += h.Seq
	}
	return out, err
}

// RetentionSet says how long a kind is kept; 0 days is for ever.
type RetentionSet struct {
	Kind string `json:"kind"`
	Days int    `json:"days"`
}

// MaxRetention bounds a retention, in days.
const MaxRetention = 36_500

// RetentionSet changes how long a kind is kept. Bytes that are still needed for delivery are never removed.
func (a Admin) RetentionSet(ctx context.Context, in RetentionSet) (none, error) {
	if in.Days < 0 || in.Days > MaxRetention {
		return none{}, fmt.Errorf("gateway: retention: %d days, must be 1 to %d, or never", in.Days, MaxRetention)
	}
	return none{}, a.s.Store.SetRetention(ctx, in.Kind, time.Duration(in.Days)*24*time.Hour,
		a.entry("retention.set", in.Kind, map[string]any{"days": in.Days}))
}
