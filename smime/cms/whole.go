package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"errors"
	"io"

	"postern/smime/cms/ber"
)

// openWhole decrypts AuthEnvelopedData (RFC 5083, RFC 5084). Its content is read whole, up to
// MaxWhole and the shared budget, because nothing may come out before the tag is checked and the
// standard library has no incremental GCM.
func (p *Plaintext) openWhole(st suite, alg algorithm, candidates []unwrapped, o DecryptOptions) error {
	gcm, err := gcmParams(alg)
	if err != nil {
		return err
	}
	src, _, err := p.m.content()
	if err != nil {
		return err
	}
	w := &whole{budget: o.Budget}
	p.free = w.free
	if err := w.read(src); err != nil {
		w.free()
		return err
	}
	attrs, mac, err := p.m.tail()
	if err == nil {
		err = gcm.settle(mac)
	}
	if err == nil {
		err = p.m.finish()
	}
	if err == nil && len(candidates) > 1 { // the plaintext stands beside the ciphertext, which the next may need
		err = w.take(int64(len(w.b)))
	}
	if err != nil {
		w.free()
		return err
	}
	p.failed, p.done = 1, true
	p.use(candidates[0])
	sealed := append(w.b, mac...)
	if fips140.Enforced() {
		sealed = append(sealed, gcm.nonce...)
		copy(sealed[len(gcm.nonce):], sealed)
		copy(sealed, gcm.nonce)
	}
	place := sealed[:0] // one candidate: in place
	if len(candidates) > 1 {
		place = make([]byte, 0, len(w.b)) // the same for each: a failure leaves nothing in it
	}
	for _, c := range candidates {
		plain, ok := gcm.open(c.cek, place, sealed, attrs)
		if ok {
			p.failed, p.out, p.whole = 0, plain, plain
			p.use(c)
			break
		}
	}
	if len(p.out) == 0 {
		p.out = nil
	}
	return nil
}

// gcm are GCMParameters (RFC 5084 §3.2).
type gcm struct {
	nonce []byte
	tag   int  // octets
	named bool // the length of the tag is not the default one
}

// open opens into place, which is sealed itself where nobody needs the ciphertext again. In FIPS 140 only mode
// the nonce stands in front of sealed: the standard library has no other AES-GCM there (settle has seen to its
// length and that of the tag).
func (g gcm) open(cek, place, sealed, attrs []byte) ([]byte, bool) {
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, false
	}
	var aead cipher.AEAD
	nonce := g.nonce
	if fips140.Enforced() {
		nonce = nil
		aead, err = cipher.NewGCMWithRandomNonce(block)
	} else if len(nonce) == 12 {
		aead, err = cipher.NewGCMWithTagSize(block, g.tag)
	} else {
		aead, err = cipher.NewGCMWithNonceSize(block, len(nonce))
	}
	if err != nil {
		return nil, false
	}
	plain, err := aead.Open(place, nonce, sealed, attrs)
	return plain, err == nil
}

// gcmParams reads GCMParameters; the tag is 12 octets unless it says otherwise.
func gcmParams(alg algorithm) (gcm, error) {
	g := gcm{tag: 12}
	if !alg.params.IsSequence() {
		return g, failf(ReasonMalformed, "GCM parameters")
	}
	c := alg.params.Children()
	n, err := c.Expect(ber.TagOctetString)
	if err != nil {
		return g, wrap("GCM nonce", err)
	}
	g.nonce = n.Content
	if g.named = !c.Empty(); g.named {
		t, err := c.Expect(ber.TagInteger)
		if err != nil {
			return g, wrap("GCM tag length", err)
		}
		if g.tag, err = t.Uint(); err != nil {
			return g, wrap("GCM tag length", err)
		}
	}
	if g.tag < 12 || g.tag > 16 {
		return g, failf(ReasonMalformed, "GCM tag of %d octets", g.tag)
	}
	if len(g.nonce) == 0 || len(g.nonce) > 64 || n.Constructed {
		return g, failf(ReasonMalformed, "GCM nonce of %d octets", len(g.nonce))
	}
	return g, nil
}

// settle holds the tag that came against its announced length. QUIRK: the example of RFC 8551 and writers that
// follow it name no length and write 16 octets, more than the default proves.
func (g *gcm) settle(mac []byte) error {
	if !g.named && len(mac) > g.tag && len(mac) <= 16 {
		g.tag = len(mac)
	}
	if len(mac) != g.tag {
		return failf(ReasonMalformed, "authentication tag of %d octets where %d are announced", len(mac), g.tag)
	}
	if len(g.nonce) != 12 && g.tag != 16 || fips140.Enforced() && (len(g.nonce) != 12 || g.tag != 16) {
		return failf(ReasonUnsupported, "GCM with a nonce of %d and a tag of %d octets", len(g.nonce), g.tag)
	}
	return nil
}

// tail reads authAttrs and mac of AuthEnvelopedData. attrs is the associated data: the attributes
// under the universal SET tag (RFC 5083 §2.2), or nothing.
func (m *Message) tail() (attrs, mac []byte, err error) {
	if err := m.leave("encrypted content info"); err != nil {
		return nil, nil, err
	}
	e, err := m.element("authentication tag", maxAttributeSet)
	if err != nil {
		return nil, nil, err
	}
	if e.IsContext(1) {
		attrs = bytes.Clone(e.Full)
		attrs[0] = ber.Set
		if e, err = m.element("authentication tag", maxMAC+16); err != nil {
			return nil, nil, err
		}
	}
	if !e.Is(ber.Universal, ber.TagOctetString) {
		return nil, nil, failf(ReasonMalformed, "authentication tag is not an octet string")
	}
	mac, err = e.Octets()
	return attrs, mac, wrap("authentication tag", err)
}

// whole collects octets in memory under MaxWhole and a budget. It grows with what arrives, never
// with what a length announces.
type whole struct {
	budget *Budget
	taken  int64
	b      []byte
}

func (w *whole) read(src io.Reader) error {
	for {
		if cap(w.b)-len(w.b) <= maxMAC { // room is left for the tag, which is put behind
			if err := w.grow(); err != nil {
				return err
			}
		}
		n, err := src.Read(w.b[len(w.b) : cap(w.b)-maxMAC])
		w.b = w.b[:len(w.b)+n]
		if len(w.b) > MaxWhole {
			return failf(ReasonLimit, "authenticated content longer than %d octets", MaxWhole)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return wrap("encrypted content", err)
		}
	}
}

func (w *whole) grow() error {
	size := max(2*cap(w.b), chunkSize)
	size = min(size, MaxWhole+maxMAC+1)
	if size <= cap(w.b) {
		return failf(ReasonLimit, "authenticated content longer than %d octets", MaxWhole)
	}
	before := w.taken
	if err := w.take(int64(size)); err != nil { // both are held while one is copied to the other
		return err
	}
	b := make([]byte, len(w.b), size)
	copy(b, w.b)
	w.b = b
	w.budget.give(before)
	w.taken -= before
	return nil
}

// take asks the budget for n octets more.
func (w *whole) take(n int64) error {
	if !w.budget.take(n) {
		return failf(ReasonBusy, "memory for authenticated content is in use")
	}
	w.taken += n
	return nil
}

func (w *whole) free() {
	w.budget.give(w.taken)
	w.taken, w.b = 0, nil
}
