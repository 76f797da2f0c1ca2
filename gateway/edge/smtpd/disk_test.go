package smtpd_test

import (
	"strings"
	"syscall"
	"testing"

	"postern/gateway/edge/smtpd"
	"postern/gateway/lab/faultdisk"
	"postern/gateway/spool"
	"postern/gateway/spool/keys"
)

// spoolOn is a real store of bytes on a disk that fails on demand.
func spoolOn(t *testing.T, d *faultdisk.Disk) *spool.Store {
	t.Helper()
	m := keys.New()
	ring := keys.NewRing(m)
	wrapped, err := m.NewOrg("o-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.AddOrg("o-1", wrapped); err != nil {
		t.Fatal(err)
	}
	st, err := spool.Open(spool.Config{FS: d.FS(), Keys: ring, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() }) // the disk may be broken by then
	return st
}

// A disk that fails at DATA: the peer is told to try again, nothing is taken in, nothing is left half
// kept, and the next message goes through as soon as the disk does.
func TestDiskFails(t *testing.T) {
	large := mail + strings.Repeat("a line of a large message that goes to a file of its own\r\n", 20000)
	for name, c := range map[string]struct {
		op   faultdisk.Op
		err  error
		want string
	}{
		"no space to write":  {faultdisk.Write, syscall.ENOSPC, "452 4.3.1"},
		"no space to create": {faultdisk.Create, syscall.ENOSPC, "452 4.3.1"},
		"quota":              {faultdisk.Write, syscall.EDQUOT, "452 4.3.1"},
		"write error":        {faultdisk.Write, syscall.EIO, "451 4.3.0"},
		"sync error":         {faultdisk.Sync, syscall.EIO, "451 4.3.0"},
	} {
		for size, msg := range map[string]string{"small": mail, "large": large} {
			t.Run(name+", "+size, func(t *testing.T) {
				d := faultdisk.New(1)
				st := spoolOn(t, d)
				s := &site{}
				p := dial(t, serve(t, s, smtpd.Peer, func(cfg *smtpd.Config) { cfg.Spool = smtpd.Keep(st) }))
				p.expect("220")
				send := func(want string) {
					t.Helper()
					play(t, p, []step{{"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<a@clinic.example>\r\n", "250"}, {"DATA\r\n", "354"}, {msg + ".\r\n", want}})
				}
				p.ask("EHLO h", "250")
				d.Hook(func(op faultdisk.Op, name string) faultdisk.Fault {
					if op == c.op {
						return faultdisk.Fault{Err: c.err}
					}
					return faultdisk.Fault{}
				})
				send(c.want)
				if n := len(s.messages()); n != 0 {
					t.Fatalf("%d messages taken in", n)
				}
				d.Hook(nil)
				for f := range d.Files() {
					if strings.HasPrefix(f, "tmp/") || strings.HasPrefix(f, "blob/") {
						t.Errorf("%s is left", f)
					}
				}
				send("250 2.0.0")
				if n := len(s.messages()); n != 1 {
					t.Errorf("%d messages taken in", n)
				}
			})
		}
	}
}
