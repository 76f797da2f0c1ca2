package chain

import (
	"crypto/sha256"
	"crypto/x509"
)

// node is a certificate with what every comparison needs, computed once.
type node struct {
	cert    *x509.Certificate
	id      [32]byte // SHA-256 of the whole certificate
	subject string   // nameKey of the subject
	issuer  string
}

func newNode(c *x509.Certificate) *node {
	n := &node{cert: c, id: sha256.Sum256(c.Raw), subject: nameKey(c.RawSubject)}
	n.issuer = n.subject
	if string(c.RawIssuer) != string(c.RawSubject) {
		n.issuer = nameKey(c.RawIssuer)
	}
	return n
}

// selfIssued reports whether subject and issuer are one name (RFC 5280 §6.1).
func (n *node) selfIssued() bool { return n.subject == n.issuer }

// Set is certificates that can be found by subject name. It is not changed after it is made, so
// that goroutines may share it. A nil Set is empty.
type Set struct {
	nodes     []*node
	bySubject map[string][]*node
	byID      map[[32]byte]*node
	byKeyID   map[string]*node
}

// NewSet indexes certificates; duplicates and nils are dropped.
func NewSet(certs []*x509.Certificate) *Set {
	s := &Set{
		bySubject: make(map[string][]*node, len(certs)),
		byID:      make(map[[32]byte]*node, len(certs)),
		byKeyID:   make(map[string]*node, len(certs)),
	}
	for _, c := range certs {
		if c != nil {
			s.add(newNode(c))
		}
	}
	return s
}

func (s *Set) add(n *node) {
	if _, dup := s.byID[n.id]; dup {
		return
	}
	s.nodes = append(s.nodes, n)
	s.byID[n.id] = n
	s.bySubject[n.subject] = append(s.bySubject[n.subject], n)
	if k := n.cert.SubjectKeyId; len(k) > 0 {
		s.byKeyID[string(k)] = n
	}
}

// Len is the number of different certificates.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.nodes)
}

// Certs is the certificates in the order they were given.
func (s *Set) Certs() []*x509.Certificate {
	if s == nil {
		return nil
	}
	out := make([]*x509.Certificate, len(s.nodes))
	for i, n := range s.nodes {
		out[i] = n.cert
	}
	return out
}

// IDs is the SHA-256 of each certificate, in the same order.
func (s *Set) IDs() [][32]byte {
	if s == nil {
		return nil
	}
	out := make([][32]byte, len(s.nodes))
	for i, n := range s.nodes {
		out[i] = n.id
	}
	return out
}

func (s *Set) has(id [32]byte) bool {
	if s == nil {
		return false
	}
	_, ok := s.byID[id]
	return ok
}

func (s *Set) named(subject string) []*node {
	if s == nil {
		return nil
	}
	return s.bySubject[subject]
}

func (s *Set) keyed(keyID []byte) *node {
	if s == nil || len(keyID) == 0 {
		return nil
	}
	return s.byKeyID[string(keyID)]
}
