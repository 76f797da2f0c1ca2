package gateway_test

import (
	"postern/certs"
	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/lab"
	"postern/gateway/store"
	"postern/smime/addr"
)

var auditNone store.AuditEntry

// stranger makes a peer that every site trusts.
func (w *world) stranger() *lab.Stranger {
	w.Helper()
	p, err := w.Stranger("Stranger's anchor")
	w.ok(err)
	w.ok(w.clinic.Trust(w.ctx, p.Anchor()))
	w.ok(w.hospital.Trust(w.ctx, p.Anchor()))
	return p
}

func (w *world) certificate(p *lab.Stranger, o issue.LeafOptions) certs.Credential {
	w.Helper()
	c, err := p.Certificate(o)
	w.ok(err)
	return c
}

// pinned makes an address elsewhere one whose certificate the hospital has and trusts.
func (w *world) pinned(a addr.Address) {
	w.Helper()
	c := w.certificate(w.stranger(), issue.LeafOptions{Address: a})
	w.ok(w.hospital.Store.AddStatic(w.ctx, w.hospital.Org, a.Key(), c.ID, c.Cert.Raw, auditNone))
}

func certFor(a addr.Address) gateway.CertCreate {
	return gateway.CertCreate{Address: a, Algorithm: issue.P256}
}

type heldRow = store.Held

var anyMessage store.Query

func sendWith(from, to addr.Address, key string) gateway.Send {
	return gateway.Send{From: from, Recipients: []addr.Address{to}, Key: key}
}

func certForDomain(d addr.Domain) gateway.CertCreate {
	return gateway.CertCreate{Domain: d, Algorithm: issue.P256}
}
