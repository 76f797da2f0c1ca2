// Package dnscert finds certificates in DNS CERT records (RFC 4398, CD-10 to CD-23): it knows under
// which name an address or a domain publishes, which record types hold X.509 certificates, and that
// one unreadable record must not hide the others.
//
// PKIX records hold the certificate; IPKIX and URI records hold a URL, fetched only through the
// Fetcher given, whose guard is the caller's (CD-12). All other types are passed over. Key tag and
// algorithm decide nothing (CD-13). What is found is not judged here.
//
// Limits: 50 certificates a name, 4 fetches a name, certificates as certs.MaxCertificate.
package dnscert

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/dnsclient"
	"postern/smime/addr"
)

// Limits of one name.
const (
	MaxCerts   = 50
	MaxFetches = 4
	MaxURL     = 1024 // octets of a URL in a record
)

// Record types of RFC 4398 §2.1 that matter here.
const (
	typePKIX  = 1
	typeIPKIX = 4
	typeURI   = 253
)

// Client asks for CERT records; *dnsclient.Client is one. Its errors are dnsclient's.
type Client interface {
	CERT(ctx context.Context, name string) (dnsclient.Answer, error)
}

// Fetcher gets a certificate from a URL a stranger chose: it must refuse private addresses, limit
// redirects and time, and read no more than max octets.
type Fetcher interface {
	Fetch(ctx context.Context, url string, max int64) ([]byte, error)
}

// Finder finds certificates by name.
type Finder struct {
	client Client
	fetch  Fetcher
}

// New makes a Finder. A nil fetch passes over records that only hold a URL.
func New(client Client, fetch Fetcher) *Finder { return &Finder{client, fetch} }

// Answer is what a name holds. No certificates and no error means: records, but none of use.
type Answer struct {
	Certs         []*x509.Certificate
	Notes         []string // records passed over, and why
	TTL           time.Duration
	Server        string
	TCP           bool
	Cached        bool
	Authoritative bool // only the domain's own name server answered; its resolvers refuse CERT
	Trace         []dnsclient.Step
}

// AddressName is the name under which an address-bound certificate is published: the address with
// "@" replaced by "." (CD-14), lower case (CD-16), a "+tag" dropped (AS-04); dots of the local part
// are label separators, as deployed software has it (CD-15). Not ok: the local part makes no DNS
// name, and the address query is skipped (CD-17).
func AddressName(a addr.Address) (name string, ok bool) {
	local := strings.ToLower(a.WithoutTag().Local())
	name = local + "." + a.Domain().String()
	if a.IsZero() || len(name) > addr.MaxDomain {
		return "", false
	}
	for _, label := range strings.Split(local, ".") {
		if label == "" || len(label) > addr.MaxLabel {
			return "", false
		}
	}
	for i := 0; i < len(local); i++ {
		if c := local[i]; c <= ' ' || c > '~' || strings.IndexByte(`"\();@$`, c) >= 0 {
			return "", false
		}
	}
	return name, true
}

// DomainName is the name under which a domain-bound certificate is published (CD-14).
func DomainName(d addr.Domain) string { return d.String() }

// Find asks for the certificates at a name. Errors match dnsclient.ErrNotFound or ErrTemporary.
func (f *Finder) Find(ctx context.Context, name string) (Answer, error) {
	got, err := f.client.CERT(ctx, name)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{TTL: got.TTL, Server: got.Server, TCP: got.TCP, Cached: got.Cached, Authoritative: got.Authoritative, Trace: got.Trace}
	fetches := 0
	var faults []error
	for i, r := range got.Records {
		if len(a.Certs) == MaxCerts {
			a.note(i, "passed over: more than %d certificates at this name", MaxCerts)
			break
		}
		switch r.Type {
		case typePKIX:
			_ = a.add(i, r.Data) // one that cannot be read does not hide the others (CD-21)
		case typeIPKIX, typeURI:
			if fetches++; fetches > MaxFetches {
				a.note(i, "passed over: more than %d URLs at this name", MaxFetches)
				continue
			}
			if err := f.follow(ctx, &a, i, r); err != nil {
				faults = append(faults, err)
			}
		default:
			a.note(i, "passed over: type %d holds no X.509 certificate", r.Type)
		}
	}
	if len(a.Certs) == 0 && len(faults) > 0 { // a record says there is one; that it could not be had is a fault, not an absence
		return a, &dnsclient.Error{Kind: dnsclient.ErrTemporary, Name: name, Type: "CERT", Detail: errors.Join(faults...).Error(), Trace: got.Trace}
	}
	return a, nil
}

func (a *Answer) note(i int, format string, args ...any) {
	a.Notes = append(a.Notes, fmt.Sprintf("record %d: ", i+1)+fmt.Sprintf(format, args...))
}

// add keeps a certificate or notes why not (CD-21).
func (a *Answer) add(i int, der []byte) error {
	cert, err := certs.Parse(der)
	if err != nil {
		a.note(i, "not a certificate: %v", err)
		return err
	}
	for _, have := range a.Certs {
		if have.Equal(cert) {
			return nil
		}
	}
	a.Certs = append(a.Certs, cert)
	return nil
}

// follow fetches the certificate a record points to. RFC 4398 §2.1: the content is the URL; of a URI
// record, the URL ends at the first NUL.
func (f *Finder) follow(ctx context.Context, a *Answer, i int, r dnsclient.CERT) error {
	raw, _, _ := bytes.Cut(r.Data, []byte{0})
	url := string(raw)
	lower := strings.ToLower(url)
	switch {
	case len(url) > MaxURL || !(strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://")):
		a.note(i, "passed over: not an http URL")
		return nil
	case f.fetch == nil:
		a.note(i, "passed over: fetching by URL is switched off")
		return nil
	}
	body, err := f.fetch.Fetch(ctx, url, certs.MaxCertificate)
	if err != nil {
		a.note(i, "%s: %v", url, err)
		return fmt.Errorf("dnscert: %s: %w", url, err)
	}
	if block, _ := pem.Decode(body); block != nil && block.Type == "CERTIFICATE" {
		body = block.Bytes
	}
	if err := a.add(i, body); err != nil { // a web server's page in trouble, as likely as not
		return fmt.Errorf("dnscert: %s: not a certificate: %w", url, err)
	}
	return nil
}
