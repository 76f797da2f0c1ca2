package dnscert_test

import (
	"context"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/gateway/lab/corpus"
	"postern/smime/addr"

	"github.com/miekg/dns"
)

func TestAddressName(t *testing.T) {
	for address, want := range map[string]string{
		"alice@direct.example.org":                                "alice.direct.example.org",
		"John.Doe@Direct.Example.Org":                             "john.doe.direct.example.org",
		"jo+lab@direct.example.org":                               "jo.direct.example.org",
		"o'neil_x@direct.example.org":                             "o'neil_x.direct.example.org",
		`"two words"@direct.example.org`:                          "",
		`"a@b"@direct.example.org`:                                "",
		`"..a"@direct.example.org`:                                "",
		`"back\\slash"@direct.example.org`:                        "",
		strings.Repeat("a", 63) + "@direct.example.org":           strings.Repeat("a", 63) + ".direct.example.org",
		strings.Repeat("a", 64) + "@direct.example.org":           "",
		"a.b@" + strings.Repeat("abcdefghi.", 24) + "example.org": "",
	} {
		name, ok := dnscert.AddressName(addr.MustParse(address))
		if name != want || ok != (want != "") {
			t.Errorf("%s: %q, %v; want %q", address, name, ok, want)
		}
	}
	if _, ok := dnscert.AddressName(addr.Address{}); ok {
		t.Error("the zero address has a name")
	}
}

// answer is a Client that knows one answer.
type answer struct {
	records []dnsclient.CERT
	err     error
}

func (a answer) CERT(context.Context, string) (dnsclient.Answer, error) {
	return dnsclient.Answer{Records: a.records, TTL: time.Minute, Server: "192.0.2.53:53"}, a.err
}

// web is a Fetcher over a map; what is missing is a fault.
type web map[string][]byte

func (w web) Fetch(_ context.Context, url string, max int64) ([]byte, error) {
	body, ok := w[url]
	if !ok {
		return nil, errors.New("cannot be reached")
	}
	if int64(len(body)) > max {
		return nil, errors.New("too large")
	}
	return body, nil
}

func TestRecords(t *testing.T) {
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	made := func() certs.Credential {
		c, err := ca.Leaf(issue.LeafOptions{Domain: addr.MustDomain("direct.example.org"), Algorithm: issue.P256, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, two := made().Cert, made().Cert
	pkix := func(der []byte) dnsclient.CERT { return dnsclient.CERT{Type: 1, KeyTag: 1, Algorithm: 5, Data: der} }
	url := func(t uint16, u string) dnsclient.CERT { return dnsclient.CERT{Type: t, Data: []byte(u)} }
	pages := web{
		"http://pki.example/one.cer": one.Raw,
		"https://pki.example/two":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: two.Raw}),
		"http://pki.example/html":    []byte("<html>"),
		"http://pki.example/huge":    make([]byte, certs.MaxCertificate+1),
	}
	many := make([]dnsclient.CERT, dnscert.MaxFetches+1)
	for i := range many {
		many[i] = url(4, "http://pki.example/html")
	}
	for _, tc := range []struct {
		situation string
		records   []dnsclient.CERT
		fetch     dnscert.Fetcher
		found     int
		kind      error
		note      string
	}{
		{"one", []dnsclient.CERT{pkix(one.Raw)}, nil, 1, nil, ""},
		{"two", []dnsclient.CERT{pkix(one.Raw), pkix(two.Raw)}, nil, 2, nil, ""},
		{"the same twice", []dnsclient.CERT{pkix(one.Raw), {Type: 1, Data: one.Raw}}, nil, 1, nil, ""},
		{"key tag and algorithm 0", []dnsclient.CERT{{Type: 1, Data: one.Raw}}, nil, 1, nil, ""},
		{"unreadable beside good", []dnsclient.CERT{pkix([]byte("x")), pkix(one.Raw)}, nil, 1, nil, "record 1: not a certificate"},
		{"octets behind the certificate", []dnsclient.CERT{pkix(append(append([]byte{}, one.Raw...), 0, 0))}, nil, 1, nil, ""},
		{"too large to be one", []dnsclient.CERT{pkix(make([]byte, certs.MaxCertificate+1))}, nil, 0, nil, "too long"},
		{"only other types", []dnsclient.CERT{{Type: 3, Data: one.Raw}, {Type: 2}, {Type: 254}, {Type: 65535}}, nil, 0, nil, "type 3 holds no"},
		{"IPKIX", []dnsclient.CERT{url(4, "http://pki.example/one.cer")}, pages, 1, nil, ""},
		{"URI with its private part", []dnsclient.CERT{url(253, "https://pki.example/two\x00private")}, pages, 1, nil, ""},
		{"IPKIX, fetching switched off", []dnsclient.CERT{url(4, "http://pki.example/one.cer")}, nil, 0, nil, "switched off"},
		{"a URL of another kind", []dnsclient.CERT{url(4, "file:///etc/passwd")}, pages, 0, nil, "not an http URL"},
		{"a URL without end", []dnsclient.CERT{url(4, "http://"+strings.Repeat("x", dnscert.MaxURL))}, pages, 0, nil, "not an http URL"},
		{"a page instead of a certificate is a fault", []dnsclient.CERT{url(4, "http://pki.example/html")}, pages, 0, dnsclient.ErrTemporary, "not a certificate"},
		{"a page instead of a certificate, beside a good one", []dnsclient.CERT{url(4, "http://pki.example/html"), pkix(one.Raw)}, pages, 1, nil, "not a certificate"},
		{"a web server that cannot be reached is a fault", []dnsclient.CERT{url(4, "http://pki.example/gone")}, pages, 0, dnsclient.ErrTemporary, "cannot be reached"},
		{"too large a page is a fault", []dnsclient.CERT{url(4, "http://pki.example/huge")}, pages, 0, dnsclient.ErrTemporary, "too large"},
		{"unreachable beside good", []dnsclient.CERT{url(4, "http://pki.example/gone"), pkix(one.Raw)}, pages, 1, nil, "cannot be reached"},
		{"more URLs than are followed", many, pages, 0, dnsclient.ErrTemporary, "more than 4 URLs"},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			got, err := dnscert.New(answer{records: tc.records}, tc.fetch).Find(t.Context(), "direct.example.org")
			if !errors.Is(err, tc.kind) || len(got.Certs) != tc.found {
				t.Fatalf("%d certificates, %v; want %d, %v", len(got.Certs), err, tc.found, tc.kind)
			}
			if notes := strings.Join(got.Notes, "\n"); !strings.Contains(notes, tc.note) {
				t.Errorf("notes do not say %q: %s", tc.note, notes)
			}
			if tc.kind == nil && (got.TTL != time.Minute || got.Server == "") {
				t.Errorf("TTL %v, server %q", got.TTL, got.Server)
			}
		})
	}
	if _, err := dnscert.New(answer{err: dnsclient.ErrNotFound}, nil).Find(t.Context(), "x.example"); !errors.Is(err, dnsclient.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// The one recorded answer that holds a certificate: it is read, and bound to its domain.
func TestRecordedCertificate(t *testing.T) {
	wire, err := os.ReadFile(corpus.Dir(t, "dns") + "/cert.hvnhind.hsgincubator.com.bin")
	if err != nil {
		t.Fatal(err)
	}
	var m dns.Msg
	if err := m.Unpack(wire); err != nil {
		t.Fatal(err)
	}
	rr := m.Answer[0].(*dns.CERT)
	packed := make([]byte, 4096)
	n, err := dns.PackRR(rr, packed, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	content := packed[n-int(rr.Hdr.Rdlength) : n] // type, key tag, algorithm, certificate
	got, err := dnscert.New(answer{records: []dnsclient.CERT{{Type: rr.Type, KeyTag: rr.KeyTag, Algorithm: rr.Algorithm, Data: content[5:]}}}, nil).Find(t.Context(), m.Question[0].Name)
	if err != nil || len(got.Certs) != 1 {
		t.Fatalf("%v, %v", err, got.Notes)
	}
	t.Logf("%s, valid until %s, names %v %v", got.Certs[0].Subject, got.Certs[0].NotAfter, got.Certs[0].EmailAddresses, got.Certs[0].DNSNames)
	if time.Now().Before(got.Certs[0].NotAfter) {
		t.Error("this certificate of 2011 is not expired")
	}
}
