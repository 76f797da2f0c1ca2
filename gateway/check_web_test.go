package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/config"
	"postern/gateway/lab"
	"postern/gateway/store"
)

// webPair writes a certificate of its own issuing, for a name and a time, and is its files.
func webPair(t *testing.T, name string, from, to time.Time) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string][]byte{cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// webFindings is what check says of the pages: "error: …".
func webFindings(t *testing.T, s *lab.Site) string {
	t.Helper()
	var out []string
	for _, f := range s.Check(t.Context()) {
		if f.About == "web" {
			out = append(out, f.Level+": "+f.Text)
		}
	}
	return strings.Join(out, "\n")
}

// TestCheckOfThePages holds each thing that keeps people from signing in, or lets too many, to be said.
func TestCheckOfThePages(t *testing.T) {
	s := openSite(t)
	if got := webFindings(t, s); got != "" {
		t.Fatalf("without pages: %s", got)
	}
	now := s.Store.Now()
	pair := func(name string, from, to time.Duration) config.Web {
		c := config.Web{Listen: "192.0.2.1:443", PublicURL: "https://pages.example"}
		c.Certificate, c.Key = webPair(t, name, now.Add(from), now.Add(to))
		return c
	}
	const year = 365 * 24 * time.Hour
	good := pair("pages.example", -time.Hour, year)
	with := func(change func(*config.Web)) config.Web { c := good; change(&c); return c }
	behind := func(listen string, proxies ...string) config.Web {
		return config.Web{Listen: listen, PublicURL: "https://pages.example", Proxies: proxies}
	}
	for _, k := range []struct {
		situation string
		web       config.Web
		want      string // "" is no word but ok ones, and of the issuer
	}{
		{"all is well", good, ""},
		{"no such file", with(func(c *config.Web) { c.Key = "/no/such/key.pem" }), "error: certificate: open /no/such/key.pem"},
		{"another host's certificate", pair("other.example", -time.Hour, year), "error: browsers will refuse the certificate of CN=other.example at pages.example"},
		{"expired", pair("pages.example", -year, -time.Hour), "error: the certificate of CN=pages.example expired"},
		{"ends soon", pair("pages.example", -year, 60*time.Hour), "warning: the certificate of CN=pages.example expires in 2 days"},
		{"not yet", pair("pages.example", time.Hour, year), "error: the certificate of CN=pages.example counts only from"},
		{"issued by itself", good, "warning: this machine does not know who issued"},
		{"another port than people are sent to", with(func(c *config.Web) { c.Listen = "192.0.2.1:8443" }), "warning: people are sent to port 443 and the pages listen at port 8443"},
		{"for this machine only", with(func(c *config.Web) { c.Listen = "127.0.0.1:443" }), "warning: the pages listen at 127.0.0.1:443, which only this machine reaches"},
		{"at an address", with(func(c *config.Web) { c.PublicURL = "https://192.0.2.1" }), "warning: the pages are at an IP address"},
		{"listen is no address", with(func(c *config.Web) { c.Listen = "443" }), `error: listen "443"`},
		{"everybody is a proxy", behind("127.0.0.1:80", "0.0.0.0/0"), "error: proxies holds 0.0.0.0/0, everybody"},
		{"everybody is a proxy, IPv6", behind("127.0.0.1:80", "::/0"), "error: proxies holds ::/0, everybody"},
		{"a public network is a proxy", behind("127.0.0.1:80", "203.0.0.0/16"), "warning: proxies holds 203.0.0.0/16, 2^16 public addresses"},
		{"a whole private network is", behind("127.0.0.1:80", "10.0.0.0/8"), "warning: proxies holds 10.0.0.0/8, 2^24 addresses"},
		{"a proxy here, and open to all", behind("0.0.0.0:80", "127.0.0.1/32"), "warning: the proxy is on this machine, and the pages listen in the clear at 0.0.0.0:80"},
		{"a proxy here", behind("127.0.0.1:80", "127.0.0.1/32"), ""},
	} {
		s.Config.Web = k.web
		got := webFindings(t, s)
		if k.want != "" && !strings.Contains(got, k.want) {
			t.Errorf("%s: %q is not in\n%s", k.situation, k.want, got)
		}
		if k.want == "" {
			for line := range strings.Lines(got) {
				if !strings.HasPrefix(line, "ok: ") && !strings.Contains(line, "who issued") && !strings.Contains(line, "nobody can sign in") {
					t.Errorf("%s: %s", k.situation, line)
				}
			}
		}
	}
}

// TestCheckOfPeopleAndTeams: each organisation by itself, from nobody at all to somebody with a second proof.
func TestCheckOfPeopleAndTeams(t *testing.T) {
	s := openSite(t)
	s.Config.Web = config.Web{Listen: "127.0.0.1:80", PublicURL: "https://pages.example", Proxies: []string{"127.0.0.1/32"}}
	ctx, st := t.Context(), s.Store
	orgs, err := st.Orgs(ctx)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(err)
	org, name := orgs[0].ID, orgs[0].Name
	has := func(situation, want string, not ...string) {
		t.Helper()
		got := webFindings(t, s)
		if !strings.Contains(got, want) {
			t.Errorf("%s: %q is not in\n%s", situation, want, got)
		}
		for _, n := range not {
			if strings.Contains(got, n) {
				t.Errorf("%s: %q is in\n%s", situation, n, got)
			}
		}
	}
	has("nobody at all", "warning: nobody can sign in for "+name)
	nora := staff.Person{ID: "p-nora", Org: org, Login: "nora", Name: "Nora", Role: staff.Nurse}
	ok(st.AddPerson(ctx, nora, "", store.AuditEntry{}))
	has("a nurse alone", "warning: nobody administers "+name, "nobody can sign in")
	mia := staff.Person{ID: "p-mia", Org: org, Login: "mia", Name: "Mia", Role: staff.Manager}
	ok(st.AddPerson(ctx, mia, "", store.AuditEntry{}))
	has("a manager by password", "warning: of the 1 who administer "+name+" none has a second proof", "nobody administers")
	ok(st.AddFactors(ctx, mia, []store.Factor{{ID: "f-1", Kind: store.FactorRecovery, Name: "code", Lookup: "x", Data: []byte{}}}, nil, store.AuditEntry{}))
	has("recovery codes are none", "none has a second proof")
	ok(st.AddFactors(ctx, mia, []store.Factor{{ID: "f-2", Kind: store.FactorPasskey, Name: "key", Lookup: "y", Data: []byte("{}")}}, nil, store.AuditEntry{}))
	has("with a passkey", "", "none has a second proof", "nobody administers")

	team := pool.Pool{ID: pool.NewID(), Org: org, Name: "Nurses", Owner: nora.ID}
	ok(st.SavePool(ctx, team, store.AuditEntry{}))
	has("who answers for it may not work there", `warning: nora answers for the team "Nurses" of `+name+" and may not work there")
	ok(st.SetMemberships(ctx, nora, team.ID, []staff.Membership{{Pool: team.ID, Level: staff.Send}}, store.AuditEntry{}))
	has("who answers for it works there", "", "Nurses")
	nora.Disabled = true
	ok(st.SetPerson(ctx, nora, true, store.AuditEntry{}))
	has("who answers for it is shut out", `warning: who answers for the team "Nurses" of `+name+" is shut out or gone")
	ok(st.RetirePool(ctx, org, team.ID, store.AuditEntry{}))
	has("a team that is closed", "", "Nurses")
	mia.Disabled = true
	ok(st.SetPerson(ctx, mia, true, store.AuditEntry{}))
	has("everybody is shut out", "warning: nobody can sign in for "+name)

	ok(st.SetSingleSignOn(ctx, org, store.SingleSignOn{Issuer: "https://127.0.0.1:1", Client: "postern", Secret: []byte("not sealed by us")}, store.AuditEntry{}))
	has("a provider that does not answer", "warning: the single sign-on of "+name+" at https://127.0.0.1:1 does not answer as it should")
	has("a secret that cannot be opened", "error: the client secret of the single sign-on of "+name)
}
