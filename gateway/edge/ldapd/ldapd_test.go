package ldapd_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/ldapcert"
	"postern/gateway/edge/ldapd"
	"postern/gateway/lab/peer"
	"postern/smime/addr"

	ldap "github.com/go-ldap/ldap/v3"
)

const base = "ou=Certificates,o=Clinic"

type site struct {
	server *ldapd.Server
	addr   string
	john   certs.Credential
	org    certs.Credential
}

func newSite(t testing.TB) *site {
	t.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	make1 := func(o issue.LeafOptions) certs.Credential {
		o.Algorithm, o.Now = issue.P256, time.Now()
		c, err := ca.Leaf(o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s := &site{john: make1(issue.LeafOptions{Address: addr.MustParse("John.Doe@direct.example.org")}), org: make1(issue.LeafOptions{Domain: addr.MustDomain("direct.example.org")})}
	d, err := ldapd.NewDirectory(base, []ldapd.Entry{
		{Mail: "John.Doe@direct.example.org", Certs: []*x509.Certificate{s.john.Cert}},
		{Mail: "direct.example.org", Certs: []*x509.Certificate{s.org.Cert}},
		{Mail: "o'neil+x@direct.example.org"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.server = ldapd.New(nil)
	s.server.Publish(d)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.server.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) dial(t testing.TB) *ldap.Conn {
	t.Helper()
	c, err := ldap.DialURL("ldap://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetTimeout(time.Minute)
	return c
}

func TestSearches(t *testing.T) {
	s := newSite(t)
	c := s.dial(t)
	if err := c.UnauthenticatedBind(""); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		situation, base string
		scope           int
		filter          string
		attrs           []string
		entries         int
		code            uint16
		attributes      string // of the first entry
	}{
		{"address", base, 2, "(mail=john.doe@direct.example.org)", []string{"userCertificate;binary"}, 1, 0, "userCertificate;binary"},
		{"address in capitals, attribute without option", strings.ToUpper(base), 2, "(MAIL=JOHN.DOE@DIRECT.EXAMPLE.ORG)", []string{"usercertificate"}, 1, 0, "userCertificate;binary"},
		{"domain", base, 2, "(mail=direct.example.org)", []string{"userCertificate"}, 1, 0, "userCertificate;binary"},
		{"all attributes", base, 2, "(mail=direct.example.org)", nil, 1, 0, "objectClass cn sn mail userCertificate;binary"},
		{"one level", base, 1, "(mail=direct.example.org)", []string{"mail"}, 1, 0, "mail"},
		{"the other form of the question", base, 2, "(&(mail=direct.example.org)(|(userCertificate;binary=*)(userCertificate=*)))", []string{"mail"}, 1, 0, "mail"},
		{"entry without a certificate in that form", base, 2, "(&(mail=o'neil+x@direct.example.org)(userCertificate;binary=*))", nil, 0, 0, ""},
		{"RootDSE", "", 0, "(objectClass=*)", []string{"namingContexts"}, 1, 0, "namingContexts"},
		{"nobody", base, 2, "(mail=nobody@direct.example.org)", nil, 0, 0, ""},
		{"listing is refused its purpose", base, 2, "(objectClass=*)", nil, 0, 0, ""},
		{"listing by a part", base, 2, "(mail=*direct*)", nil, 0, 0, ""},
		{"listing by either of two", base, 2, "(|(mail=direct.example.org)(objectClass=*))", nil, 0, 0, ""},
		{"listing by negation", base, 2, "(!(mail=x))", nil, 0, 0, ""},
		{"negation beside the mail", base, 2, "(&(mail=direct.example.org)(!(cn=x)))", []string{"mail"}, 1, 0, "mail"},
		{"negation of what is not known here", base, 2, "(&(mail=direct.example.org)(!(cn=x*)))", nil, 0, 0, ""},
		{"by DN", "cn=direct.example.org," + base, 0, "(objectClass=*)", []string{"mail"}, 1, 0, "mail"},
		{"another base", "dc=elsewhere", 2, "(mail=direct.example.org)", nil, 0, 32, ""},
		{"filter characters as data", base, 2, "(mail=" + ldap.EscapeFilter("*)(mail=*") + ")", nil, 0, 0, ""},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			got, err := c.Search(ldap.NewSearchRequest(tc.base, tc.scope, 0, 0, 0, false, tc.filter, tc.attrs, nil))
			if tc.code == 0 && err != nil || tc.code != 0 && !ldap.IsErrorWithCode(err, tc.code) {
				t.Fatalf("%v, want code %d", err, tc.code)
			}
			if tc.code != 0 {
				return
			}
			if len(got.Entries) != tc.entries {
				t.Fatalf("%d entries, want %d", len(got.Entries), tc.entries)
			}
			if tc.entries > 0 {
				var names []string
				for _, a := range got.Entries[0].Attributes {
					names = append(names, a.Name)
				}
				if strings.Join(names, " ") != tc.attributes {
					t.Errorf("attributes %v, want %s", names, tc.attributes)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	for _, tc := range []struct {
		situation string
		do        func(*ldap.Conn) error
		code      uint16
	}{
		{"password", func(c *ldap.Conn) error { return c.Bind("cn=admin", "secret") }, ldap.LDAPResultInvalidCredentials},
		{"name without password", func(c *ldap.Conn) error { return c.UnauthenticatedBind("cn=admin") }, ldap.LDAPResultUnwillingToPerform},
		{"SASL", func(c *ldap.Conn) error { return c.ExternalBind() }, ldap.LDAPResultAuthMethodNotSupported},
		{"add", func(c *ldap.Conn) error { return c.Add(ldap.NewAddRequest("cn=x,"+base, nil)) }, ldap.LDAPResultUnwillingToPerform},
		{"delete", func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest("cn=direct.example.org,"+base, nil)) }, ldap.LDAPResultUnwillingToPerform},
		{"StartTLS", func(c *ldap.Conn) error { return c.StartTLS(nil) }, ldap.LDAPResultProtocolError},
		{"who am I", func(c *ldap.Conn) error { _, err := c.WhoAmI(nil); return err }, ldap.LDAPResultProtocolError},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			if err := tc.do(s.dial(t)); !ldap.IsErrorWithCode(err, tc.code) {
				t.Errorf("%v, want code %d", err, tc.code)
			}
		})
	}
}

func TestHostileRequests(t *testing.T) {
	s := newSite(t)
	for name, octets := range map[string]string{
		"announces a gigabyte": "\x30\x84\x40\x00\x00\x00",
		"HTTP":                 "GET / HTTP/1.1\r\n\r\n",
		"indefinite length":    "\x30\x80\x30\x80\x30\x80",
		"no operation":         "\x30\x03\x02\x01\x01",
		"negative id":          "\x30\x05\x02\x01\xff\x42\x00",
		"empty":                "\x30\x00",
		"many elements":        "\x30\x82\x02\x00" + strings.Repeat("\x05\x00", 256),
		"universal operation":  "\x30\x05\x02\x01\x01\x05\x00",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			if _, err := io.WriteString(c, octets); err != nil {
				t.Fatal(err)
			}
			if n, err := c.Read(make([]byte, 100)); err == nil {
				t.Errorf("answered %d octets, want the connection closed", n)
			} else if errors.Is(err, context.DeadlineExceeded) {
				t.Error("connection stays open")
			}
		})
	}
	if err := s.dial(t).UnauthenticatedBind(""); err != nil {
		t.Errorf("no longer serving: %v", err)
	}
}

// Our own search, as another gateway would do it, and the command people use.
func TestFoundByStrangers(t *testing.T) {
	s := newSite(t)
	at := netip.MustParseAddrPort(s.addr)
	f := ldapcert.New(ldapcert.Config{Resolver: fixed{at}, Dial: (&net.Dialer{}).DialContext})
	for mail, want := range map[string]certs.Credential{"john.doe@direct.example.org": s.john, "direct.example.org": s.org} {
		got, err := f.Find(t.Context(), addr.MustDomain("direct.example.org"), mail)
		if err != nil || len(got.Certs) != 1 || !got.Certs[0].Equal(want.Cert) {
			t.Errorf("%s: %v, %d certificates", mail, err, len(got.Certs))
		}
	}
	if _, err := f.Find(t.Context(), addr.MustDomain("direct.example.org"), "nobody@direct.example.org"); !errors.Is(err, ldapcert.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	searches, found := s.server.Stats()
	if searches == 0 || found == 0 {
		t.Errorf("counted %d searches, %d found", searches, found)
	}
	out, err := exec.Command(peer.Need(t, "ldapsearch"), "-x", "-LLL", "-o", "ldif-wrap=no", "-H", "ldap://"+s.addr, "-b", base, "(mail=direct.example.org)", "userCertificate;binary").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "userCertificate;binary:: "+base64.StdEncoding.EncodeToString(s.org.Cert.Raw)) {
		t.Errorf("ldapsearch: %v\n%s", err, out)
	}
	out, err = exec.Command(peer.Need(t, "ldapsearch"), "-x", "-LLL", "-H", "ldap://"+s.addr, "-s", "base", "-b", "", "namingContexts").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "namingContexts: "+base) {
		t.Errorf("ldapsearch of the RootDSE: %v\n%s", err, out)
	}
}

type fixed struct{ at netip.AddrPort }

func (f fixed) SRV(context.Context, string) ([]dnsclient.SRV, error) {
	return []dnsclient.SRV{{Target: "ldap.example", Port: f.at.Port()}}, nil
}

func (f fixed) Addrs(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{f.at.Addr()}, nil
}

func TestRequestsPerConnection(t *testing.T) {
	s := newSite(t)
	c := s.dial(t)
	for i := range ldapd.MaxPerConn {
		if _, err := c.Search(ldap.NewSearchRequest("", 0, 0, 0, 0, false, "(objectClass=*)", nil, nil)); err != nil {
			t.Fatalf("request %d: %v", i+1, err)
		}
	}
	if _, err := c.Search(ldap.NewSearchRequest("", 0, 0, 0, 0, false, "(objectClass=*)", nil, nil)); err == nil {
		t.Error("goes on after the limit")
	}
}

func TestConnectionsPerPeer(t *testing.T) {
	s := newSite(t)
	for range ldapd.MaxPerPeer {
		if err := s.dial(t).UnauthenticatedBind(""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.dial(t).UnauthenticatedBind(""); err == nil {
		t.Error("one connection too many is served")
	}
}
