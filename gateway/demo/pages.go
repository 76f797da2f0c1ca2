package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"postern/gateway/demo/week"
)

// Inside is the clinic's site, where it runs in this process (Options.Clock).
func (d *Demo) Inside() *week.Running { return d.Clinic.inside }

// playWeek gives the clinic pages and fills the week.
func (d *Demo) playWeek(ctx context.Context) error {
	host, port, err := net.SplitHostPort(d.Web)
	if err != nil {
		return fmt.Errorf("demo: %q is not an address such as 127.0.0.1:8443", d.Web)
	}
	if port == "0" || port == "" {
		ports, err := freePorts()
		if err != nil {
			return err
		}
		port = fmt.Sprint(ports[0])
	}
	name := host
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		name = "localhost" // browsers offer passkeys for a name only
	}
	d.Web, d.URL = net.JoinHostPort(host, port), "https://"+net.JoinHostPort(name, port)
	if err := pageCertificate(filepath.Join(d.Clinic.Dir, "tls"), name, week.Begins(d.Now())); err != nil {
		return err
	}
	if err := d.Clinic.configure(fmt.Sprintf("\n[web]                          # the clinic's pages\nlisten      = %q\npublic_url  = %q\ncertificate = \"tls/pages.pem\"\nkey         = \"tls/pages-key.pem\"\n", d.Web, d.URL)); err != nil {
		return err
	}
	reach := d.Web
	if host == "" || net.ParseIP(host).IsUnspecified() {
		reach = net.JoinHostPort("127.0.0.1", port)
	}
	d.Week, err = week.Play(ctx, week.Options{Clinic: d.Clinic.Config, Hospital: d.Hospital.Config, Web: reach, URL: d.URL, Now: d.Now(), Clock: d.Clock, Log: slog.New(slog.DiscardHandler)})
	return err
}

// pageCertificate makes the certificate of the pages for this machine: browsers will say that nobody vouches for it.
func pageCertificate(dir, name string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Postern demo"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 3, 0), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	if ip := net.ParseIP(name); ip != nil {
		t.IPAddresses = append(t.IPAddresses, ip)
	} else if name != "localhost" {
		t.DNSNames = append(t.DNSNames, name)
	}
	cert, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "pages.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		os.WriteFile(filepath.Join(dir, "pages-key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}

// fingerprint is the SHA-256 of the pages' certificate, to compare with what the browser shows.
func (d *Demo) fingerprint() string {
	b, err := os.ReadFile(filepath.Join(d.Clinic.Dir, "tls", "pages.pem"))
	if err != nil {
		return "unknown"
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return "unknown"
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:])
}

// ShowWeek says what there is to see, and how to get in: one link a person, each of which works once.
func (d *Demo) ShowWeek() {
	p := func(format string, args ...any) { fmt.Fprintf(d.Out, format+"\n", args...) }
	p("Hillside Cardiology at work: %d messages went from gateway to gateway, sealed and signed, and %d things were done with them on the pages.", d.Week.Messages, d.Week.Acts)
	p("\nThe pages are at %s", d.URL)
	p("Your browser will warn of their certificate, which was made for this demo; its SHA-256 is\n  %s", d.fingerprint())
	p("\nNobody has a password yet. Each link lets one person choose one, once:\n")
	for _, one := range d.Week.People {
		p("  %-18s %-22s %s", one.Name, one.Role.Words(), one.Link)
	}
	if !d.temporary {
		p("\nCtrl-C stops both gateways; their files stay in %s.", d.Dir)
		return
	}
	p("\nCtrl-C stops both gateways and removes their files.")
}
