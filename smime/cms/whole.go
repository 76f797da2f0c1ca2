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
	nonce, tagSize, err := gcmParams(alg)
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
	if err == nil && len(mac) != tagSize {
		err = failf(ReasonMalformed, "authentication tag of %d octets where %d are announced", len(mac), tagSize)
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
		sealed = append(sealed, nonce...)
		copy(sealed[len(nonce):], sealed)
		copy(sealed, nonce)
	}
	place := sealed[:0] // one candidate: in place
	if len(candidates) > 1 {
		place = make([]byte, 0, len(w.b)) // the same for each: a failure leaves nothing in it
	}
	for _, c := range candidates {
		plain, ok := openGCM(c.cek, place, nonce, sealed, attrs, tagSize)
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

// openGCM opens into place, which is sealed itself where nobody needs the ciphertext again. In FIPS 140 only mode
// the nonce stands in front of sealed: the standard library has no other AES-GCM there (gcmParams has seen to its
// length and that of the tag).
func openGCM(cek, place, nonce, sealed, attrs []byte, tagSize int) ([]byte, bool) {
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, false
	}
	var aead cipher.AEAD
	if fips140.Enforced() {
		nonce = nil
		aead, err = cipher.NewGCMWithRandomNonce(block)
	} else if len(nonce) == 12 {
		aead, err = cipher.NewGCMWithTagSize(block, tagSize)
	} else {
		aead, err = cipher.NewGCMWithNonceSize(block, len(nonce))
	}
	if err != nil {
		return nil, false
	}
	plain, err := aead.Open(place, nonce, sealed, attrs)
	return plain, err == nil
}

// gcmParams reads GCMParameters (RFC 5084 §3.2); the tag is 12 octets unless it says otherwise.
func gcmParams(alg algorithm) (nonce []byte, tag int, err error) {
	if !alg.params.IsSequence() {
		return nil, 0, failf(ReasonMalformed, "GCM parameters")
	}
	c := alg.params.Children()
	n, err := c.Expect(ber.TagOctetString)
	if err != nil {
		return nil, 0, wrap("GCM nonce", err)
	}
	tag = 12
	if !c.Empty() {
		t, err := c.Expect(ber.TagInteger)
		if err != nil {
			return nil, 0, wrap("GCM tag length", err)
		}
		if tag, err = t.Uint(); err != nil {
			return nil, 0, wrap("GCM tag length", err)
		}
	}
	if tag < 12 || tag > 16 {
		return nil, 0, failf(ReasonMalformed, "GCM tag of %d octets", tag)
	}
	if len(n.Content) == 0 || len(n.Content) > 64 || n.Constructed {
		return nil, 0, failf(ReasonMalformed, "GCM nonce of %d octets", len(n.Content))
	}
	if len(n.Content) != 12 && tag != 16 || fips140.Enforced() && (len(n.Content) != 12 || tag != 16) {
		return nil, 0, failf(ReasonUnsupported, "GCM with a nonce of %d and a tag of %d octets", len(n.Content), tag)
	}
	return n.Content, tag, nil
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
