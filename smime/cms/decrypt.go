package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"io"

	"postern/smime/cms/ber"
)

// chunkSize is the unit of streaming: a multiple of 16 (cipher) and of 57 (base64 lines).
const chunkSize = 64*1024 + 128

// DecryptOptions say with what, and how much is allowed.
type DecryptOptions struct {
	Keys   []Key
	Legacy bool    // 3DES
	Budget *Budget // shared bound on contents held whole
	// Plausible chooses between several candidate content keys (two keys of ours, one entry forged):
	// it sees the first octets decrypted with each. Nil takes the first.
	Plausible func(start []byte) bool
}

// EnvelopeInfo is what a receipt says of an envelope.
type EnvelopeInfo struct {
	Type       Type
	Cipher     string
	Transport  string // key transport or agreement
	Cert       *x509.Certificate
	Recipients int
	Unknown    int // recipient kinds this gateway does not know
	PKCS1v15   bool
}

// Plaintext is the content of an envelope as it streams out. Nothing of it may be acted on before
// the inner signature is verified; and after the end, Failed says whether it was decrypted at all.
type Plaintext struct {
	Info   EnvelopeInfo
	m      *Message
	src    io.Reader
	cbc    cipher.BlockMode
	block  int
	buf    []byte
	spare  [][]byte // other buffers, when a piece must outlive following calls
	chunk  int      // octets read at once
	held   int      // octets at the front of buf: the block held back
	out    []byte
	whole  []byte // plaintext that was authenticated whole, to be wiped
	failed int    // constant-time flag
	done   bool
	free   func()
}

// Decrypt reads an EnvelopedData or AuthEnvelopedData up to its content and starts decrypting.
func (m *Message) Decrypt(o DecryptOptions) (*Plaintext, error) {
	if m.typ != TypeEnveloped && m.typ != TypeAuthEnveloped {
		return nil, failf(ReasonUnsupported, "%s is not an envelope", m.typ)
	}
	if err := m.enterSequence(m.typ.String()); err != nil {
		return nil, err
	}
	if err := m.version(); err != nil {
		return nil, err
	}
	rs, err := m.readRecipients(o.Keys)
	if err != nil {
		return nil, err
	}
	alg, err := m.contentHeader()
	if err != nil {
		return nil, err
	}
	st, err := allowedSuite(alg, m.typ, o.Legacy)
	if err != nil {
		return nil, err
	}
	if len(rs.shares) == 0 {
		return nil, failf(ReasonNoKey, "none of the %d recipients is a key of ours", rs.count)
	}
	candidates, err := rs.candidates(st, o.Legacy)
	if err != nil {
		return nil, err
	}
	p := &Plaintext{m: m, block: st.block, Info: EnvelopeInfo{Type: m.typ, Cipher: st.name, Recipients: rs.count, Unknown: rs.unknown}}
	if st.aead {
		return p, p.openWhole(st, alg, candidates, o)
	}
	return p, p.startCBC(st, alg, candidates, o)
}

func allowedSuite(alg algorithm, typ Type, legacy bool) (suite, error) {
	st, ok := suiteOf(alg.oid)
	switch {
	case !ok:
		return st, failf(ReasonUnsupported, "content encryption %s", alg.oid)
	case st.forbidden:
		return st, failf(ReasonForbidden, "content encryption %s", st.name)
	case st.legacy && !legacy:
		return st, failf(ReasonLegacy, "content encryption %s", st.name)
	case st.aead != (typ == TypeAuthEnveloped):
		return st, failf(ReasonMalformed, "%s inside %s", st.name, typ)
	}
	return st, nil
}

// contentHeader reads EncryptedContentInfo up to the encrypted content.
func (m *Message) contentHeader() (algorithm, error) {
	if err := m.enterSequence("encrypted content info"); err != nil {
		return algorithm{}, err
	}
	id, err := m.element("encrypted content type", maxAlgorithm)
	if err != nil {
		return algorithm{}, err
	}
	if !id.Is(ber.Universal, ber.TagOID) {
		return algorithm{}, failf(ReasonMalformed, "encrypted content type is not an object identifier")
	}
	e, err := m.element("content encryption algorithm", maxAlgorithm)
	if err != nil {
		return algorithm{}, err
	}
	return parseAlgorithm(e)
}

// content starts reading the encrypted octets. chunk is how large a piece of them can be.
func (m *Message) content() (r io.Reader, chunk int, err error) {
	h, ok, err := m.s.Next()
	if err != nil {
		return nil, 0, wrap("encrypted content", err)
	}
	if !ok || !h.IsContext(0) {
		return nil, 0, failf(ReasonMalformed, "envelope without encrypted content")
	}
	chunk = chunkSize
	if !h.Constructed && h.Length < chunkSize {
		chunk = int(h.Length)/16*16 + 32 // a short content is one piece
	}
	r, err = m.s.Octets()
	return r, chunk, wrap("encrypted content", err)
}

// candidates unwraps every share. Shares with algorithms we lack count only if none other is there.
func (rs *recipients) candidates(st suite, legacy bool) ([]unwrapped, error) {
	var out []unwrapped
	var unsupported error
	for i := range rs.shares {
		u, err := rs.shares[i].unwrap(st.key, legacy)
		if err != nil {
			unsupported = err
			continue
		}
		out = append(out, u)
	}
	if len(out) == 0 {
		return nil, unsupported
	}
	return out, nil
}

func (p *Plaintext) use(u unwrapped) {
	p.Info.Transport, p.Info.Cert, p.Info.PKCS1v15 = u.how, u.key.Cert, u.weak
}

func newBlock(st suite, key []byte) (cipher.Block, error) {
	if st.oid == oidTripleDESCBC {
		return des.NewTripleDESCipher(key)
	}
	return aes.NewCipher(key)
}

func (p *Plaintext) startCBC(st suite, alg algorithm, candidates []unwrapped, o DecryptOptions) error {
	iv, err := alg.params.Octets()
	if err != nil || !alg.params.Is(ber.Universal, ber.TagOctetString) || len(iv) != st.block {
		return failf(ReasonMalformed, "initialisation vector of %s", st.name)
	}
	src, chunk, err := p.m.content()
	if err != nil {
		return err
	}
	p.src, p.chunk = src, chunk
	p.buf = make([]byte, chunk+16)
	chosen := candidates[0]
	if len(candidates) > 1 {
		if chosen, err = p.choose(st, iv, candidates, o.Plausible); err != nil {
			return err
		}
	}
	block, err := newBlock(st, chosen.cek)
	if err != nil {
		return failf(ReasonUndecryptable, "")
	}
	p.cbc = cipher.NewCBCDecrypter(block, iv)
	p.use(chosen)
	return nil
}

// choose decrypts the first octets with every candidate and asks which looks right; all candidates
// cost the same, found or not (CMS-35).
func (p *Plaintext) choose(st suite, iv []byte, candidates []unwrapped, plausible func([]byte) bool) (unwrapped, error) {
	start := make([]byte, 64*st.block)
	n, err := io.ReadFull(p.src, start)
	if err != nil && !atEnd(err) {
		return unwrapped{}, wrap("encrypted content", err)
	}
	start = start[:n]
	p.src = io.MultiReader(bytes.NewReader(start), p.src)
	if plausible == nil {
		return candidates[0], nil
	}
	found := -1
	for i, c := range candidates {
		block, err := newBlock(st, c.cek)
		if err != nil {
			continue
		}
		plain := bytes.Clone(start[:n-n%st.block])
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, plain)
		if plausible(plain) && found < 0 {
			found = i
		}
	}
	return candidates[max(found, 0)], nil
}

// Ahead lets every later piece stay valid during n following calls of Next, so that one goroutine may decrypt while
// another works on the pieces before.
func (p *Plaintext) Ahead(n int) {
	if p.cbc == nil {
		return
	}
	for len(p.spare) < n {
		p.spare = append(p.spare, make([]byte, len(p.buf)))
	}
}

// Next is the next piece of plaintext, valid until the following call; io.EOF after the last.
func (p *Plaintext) Next() ([]byte, error) {
	if p.cbc == nil { // held whole
		if p.out == nil {
			return nil, io.EOF
		}
		n := min(len(p.out), chunkSize)
		b := p.out[:n]
		if p.out = p.out[n:]; len(p.out) == 0 {
			p.out = nil
		}
		return b, nil
	}
	if p.done {
		return nil, io.EOF
	}
	if p.out != nil { // the block held back last time moves to the front
		from := p.buf[len(p.out) : len(p.out)+p.held]
		if len(p.spare) > 0 {
			used := p.buf
			p.buf = p.spare[0]
			copy(p.spare, p.spare[1:])
			p.spare[len(p.spare)-1] = used
		}
		copy(p.buf, from)
	}
	n, err := io.ReadFull(p.src, p.buf[p.held:p.held+p.chunk])
	if err != nil && !atEnd(err) {
		return nil, wrap("encrypted content", err)
	}
	last := err != nil
	fresh := p.buf[p.held : p.held+n]
	whole := n - n%p.block
	p.cbc.CryptBlocks(fresh[:whole], fresh[:whole])
	total := p.held + whole
	if !last {
		p.held = p.block
		p.out = p.buf[:total-p.block]
		return p.out, nil
	}
	return p.final(total, n != whole)
}

// atEnd tells the end of the octet string from a failing or truncated source, which has other errors.
func atEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// final strips the padding in constant time. What is left of a failed message is passed on
// unchanged, so that what follows takes as long as for a good one (CMS-31); Failed tells.
func (p *Plaintext) final(total int, ragged bool) ([]byte, error) {
	p.done = true
	if ragged || total < p.block {
		p.failed = 1
		return p.end(p.buf[:total])
	}
	pad := int(p.buf[total-1])
	good := subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, p.block)
	for i := 1; i <= p.block; i++ {
		inPad := subtle.ConstantTimeLessOrEq(i, pad)
		same := subtle.ConstantTimeByteEq(p.buf[total-i], byte(pad))
		good &= subtle.ConstantTimeSelect(inPad, same, 1)
	}
	p.failed = 1 - good
	return p.end(p.buf[:total-subtle.ConstantTimeSelect(good, pad, 0)])
}

// end reads what follows the content in the structure.
func (p *Plaintext) end(b []byte) ([]byte, error) {
	if err := p.m.finish(); err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, io.EOF
	}
	return b, nil
}

// Failed reports, after io.EOF, that decryption failed: wrong key, damaged wrap or bad padding,
// nobody is told which. Octets that came out before are then meaningless.
func (p *Plaintext) Failed() bool { return p.failed != 0 }

// Finished reports that the whole structure was read to its end.
func (p *Plaintext) Finished() bool { return p.done }

// Close releases what the plaintext holds and wipes the buffer.
func (p *Plaintext) Close() {
	clear(p.buf)
	for _, b := range p.spare {
		clear(b)
	}
	clear(p.whole)
	if p.free != nil {
		p.free()
		p.free = nil
	}
	p.out, p.done = nil, true
}
