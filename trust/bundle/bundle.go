// Package bundle reads sets of trust anchors as communities publish them (TB-10 to TB-17, TB-40 to
// TB-45): .p7b and .p7c, signed .p7m, PEM of either, and plain collections of certificates in DER or
// PEM; and says what changes between two of them.
//
// A bundle keeps its good certificates: one that cannot be parsed or may not be an anchor is named
// and left out, and the rest goes on. A bundle without a single usable anchor is an error, so that
// nobody's anchors are ever replaced by nothing (TB-15). Where a signer is configured an unsigned
// bundle is an error too, whatever it holds (TB-43).
//
// What it does not do: run a schedule, store or apply. Media types and file names are not looked at;
// the structure is (TB-17).
//
// Limits: 4 MiB and 5,000 certificates a bundle, 64 KiB a certificate, 64 KiB of metadata.
package bundle

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"postern/smime/cms"
	"postern/trust/chain"
)

// Limits of one bundle.
const (
	MaxOctets   = cms.MaxBundle
	MaxCerts    = cms.MaxBundleCerts
	MaxMetadata = 64 << 10
)

// Reason names why a bundle is not taken over. They are TB-35's, split where the remedy differs.
type Reason string

// The reasons.
const (
	TooLarge         Reason = "too_large"
	InvalidFormat    Reason = "invalid_bundle_format"
	Empty            Reason = "empty_bundle"         // readable, and not one usable anchor in it
	Unsigned         Reason = "unsigned"             // a signer is configured and nobody signed
	UnmatchedSigner  Reason = "unmatched_signature"  // signed, but not validly by a configured signer
	InvalidSignature Reason = "invalid_signature"    // no signer configured, and the signature does not hold
	InvalidSigner    Reason = "invalid_signing_cert" // the configured signer itself may not be used
)

// Error is why a bundle is not taken over.
type Error struct {
	Reason Reason
	Detail string
}

// Error is the reason and the detail.
func (e *Error) Error() string { return fmt.Sprintf("bundle: %s: %s", e.Reason, e.Detail) }

func failf(r Reason, format string, args ...any) error {
	return &Error{r, fmt.Sprintf(format, args...)}
}

// ReasonOf is the Reason of an error of this package, or "".
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Options say how a bundle is judged.
type Options struct {
	Signers     []*x509.Certificate // who may sign; empty = a signature is checked but not demanded (TB-44)
	Time        time.Time           // the instant signers and anchors are judged at
	AllowLeaves bool                // take end-entity certificates as anchors (TB-16)
}

// Bundle is what a file says.
type Bundle struct {
	Certs    []*x509.Certificate // usable anchors, in the file's order
	Findings []Finding           // what was left out, and what an administrator should know
	Signer   *x509.Certificate   // who validly signed it; nil when unsigned
	Metadata *Metadata           // nil when there is none
	Checksum string              // SHA-256 of the file, hex: equal means unchanged (TB-32)
	File     []byte              // the file as it was given; not a copy
}

// Finding is one remark about one certificate.
type Finding struct {
	Kind   string `json:"kind"`   // unparsable, leaf, duplicate (left out); expired, not_yet_valid, weak_key (kept)
	Name   string `json:"name"`   // as far as it can be read
	SHA256 string `json:"sha256"` // of the certificate
	Detail string `json:"detail"`
}

// Finding kinds.
const (
	FindUnparsable  = "unparsable"
	FindLeaf        = "leaf"
	FindDuplicate   = "duplicate"
	FindExpired     = "expired"
	FindNotYetValid = "not_yet_valid"
	FindWeakKey     = "weak_key"
)

// Parse reads and judges one bundle.
func Parse(data []byte, o Options) (*Bundle, error) {
	if err := o.signersUsable(); err != nil {
		return nil, err
	}
	if len(data) > MaxOctets {
		return nil, failf(TooLarge, "%d octets, at most %d are read", len(data), MaxOctets)
	}
	sum := sha256.Sum256(data)
	b := &Bundle{Checksum: hex.EncodeToString(sum[:]), File: data}
	raws, err := b.open(data, o)
	if err != nil {
		return nil, err
	}
	if len(raws) > MaxCerts {
		return nil, failf(TooLarge, "%d certificates, at most %d are read", len(raws), MaxCerts)
	}
	b.sift(raws, o)
	if len(b.Certs) == 0 {
		return nil, failf(Empty, "no usable anchor among %d certificates%s", len(raws), b.firstFinding())
	}
	return b, nil
}

func (b *Bundle) firstFinding() string {
	if len(b.Findings) == 0 {
		return ""
	}
	f := b.Findings[0]
	return fmt.Sprintf(": %s: %s (%s)", f.Name, f.Kind, f.Detail)
}

// signersUsable is TB-45.
func (o Options) signersUsable() error {
	for _, c := range o.Signers {
		if o.Time.Before(c.NotBefore) || o.Time.After(c.NotAfter) {
			return failf(InvalidSigner, "the configured signer %s is valid from %s until %s", chain.Label(c), day(c.NotBefore), day(c.NotAfter))
		}
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// sift sorts usable anchors from the others (TB-14 as settled: the good ones stay).
func (b *Bundle) sift(raws []member, o Options) {
	seen := map[[32]byte]bool{}
	for i, m := range raws {
		id := sha256.Sum256(m.raw)
		note := func(kind, name, detail string) {
			b.Findings = append(b.Findings, Finding{kind, name, hex.EncodeToString(id[:]), detail})
		}
		c, err := m.cert, error(nil)
		if c == nil {
			c, err = x509.ParseCertificate(m.raw)
		}
		switch {
		case err != nil:
			note(FindUnparsable, nameOf(m.raw, i), err.Error())
			continue
		case seen[id]:
			note(FindDuplicate, chain.Label(c), "it is in the file twice")
			continue
		case isLeaf(c) && !o.AllowLeaves:
			note(FindLeaf, chain.Label(c), "it is not a CA; as an anchor it could vouch for itself only")
			continue
		}
		seen[id] = true
		b.Certs = append(b.Certs, c)
		switch {
		case o.Time.After(c.NotAfter):
			note(FindExpired, chain.Label(c), "valid until "+day(c.NotAfter))
		case o.Time.Before(c.NotBefore):
			note(FindNotYetValid, chain.Label(c), "valid from "+day(c.NotBefore))
		}
		if f := chain.AnchorKeyFault(c); f != nil {
			note(FindWeakKey, chain.Label(c), f.Detail)
		}
	}
}

// isLeaf: a version 1 certificate cannot say what it is and passes.
func isLeaf(c *x509.Certificate) bool {
	return c.Version >= 3 && !(c.BasicConstraintsValid && c.IsCA)
}
