package revoke_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/trust/internal/testpki"
	"postern/trust/revoke"
)

var (
	oidIDP   = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidDelta = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidOdd   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
)

func read(t testing.TB, der []byte) *revoke.List {
	t.Helper()
	l, err := revoke.ReadList(bytes.NewReader(der))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// idp is an issuing distribution point with the given fields already encoded.
func idp(fields ...[]byte) testpki.ListOption {
	body := bytes.Join(fields, nil)
	return testpki.ListExtension(pkix.Extension{Id: oidIDP, Critical: true, Value: append([]byte{0x30, byte(len(body))}, body...)})
}

// named is the distribution point name of a URL: [0] { fullName [0] { uri [6] } }.
func named(url string) []byte {
	u := append([]byte{0x86, byte(len(url))}, url...)
	u = append([]byte{0xa0, byte(len(u))}, u...)
	return append([]byte{0xa0, byte(len(u))}, u...)
}

func crlAt(urls ...string) testpki.Option {
	return func(c *x509.Certificate) { c.CRLDistributionPoints = urls }
}

// Fields of a list that has entries (RFC 5280 §5.1).
const (
	fieldVersion    = 0
	fieldNextUpdate = 4
	fieldEntries    = 5
	fieldExtensions = 6
)

// withoutEnd is a list without its nextUpdate, signed again.
func withoutEnd(t testing.TB, by *testpki.Authority, list []byte) []byte {
	t.Helper()
	return altered(t, by, list, func(fields [][]byte) [][]byte { return slices.Delete(fields, fieldNextUpdate, fieldNextUpdate+1) })
}

// altered is a list with the fields of its signed part changed, signed again.
func altered(t testing.TB, by *testpki.Authority, list []byte, change func([][]byte) [][]byte) []byte {
	t.Helper()
	var outer struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(list, &outer); err != nil {
		t.Fatal(err)
	}
	var fields [][]byte
	for rest := outer.TBS.Bytes; len(rest) > 0; {
		var f asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &f); err != nil {
			t.Fatal(err)
		}
		fields = append(fields, f.FullBytes)
	}
	content := bytes.Join(change(fields), nil)
	tbs, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: content})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(tbs)
	sig, err := by.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	outer.TBS, outer.Signature = asn1.RawValue{FullBytes: tbs}, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}
	out, err := asn1.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestListsAtHand(t *testing.T) {
	const point = "http://crl.example/1"
	root := testpki.Root(t, "Root")
	twin := testpki.Root(t, "Root")
	noSign := testpki.Root(t, "No sign", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
	noSignCert := *noSign.Cert
	noSignCert.KeyUsage |= x509.KeyUsageCRLSign // the library refuses to sign otherwise
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_ = pub
	ed := testpki.RootWith(t, priv, "Ed")
	rsaRoot := testpki.RootWith(t, testpki.RSAKey(t, 2048, 0), "RSA", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS })
	leaf := root.Leaf(t, "dr@clinic.example", crlAt(point))
	sub := root.Sub(t, "Sub")
	mine := []*x509.Certificate{leaf.Cert}
	pss := func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.SHA384WithRSAPSS }
	onHold := func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].ReasonCode = 6 }
	oddEntry := func(l *x509.RevocationList) {
		l.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{{Id: oidOdd, Critical: true, Value: []byte{5, 0}}}
	}
	oddReason := func(code int) testpki.ListOption {
		return func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].ReasonCode = code }
	}
	numbered := func(n int64) *x509.Certificate {
		c := *leaf.Cert
		c.SerialNumber = big.NewInt(n)
		return &c
	}
	long := *leaf.Cert // 21 octets and a sign
	long.SerialNumber = new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(3), 166))
	rsaLeaf, edLeaf := rsaRoot.Leaf(t, "dr@clinic.example"), ed.Leaf(t, "dr@clinic.example")
	cases := []struct {
		name   string
		list   []byte
		cert   *x509.Certificate
		issuer *x509.Certificate
		want   revoke.State
		word   string
	}{
		{"clears", root.List(t, nil), leaf.Cert, root.Cert, revoke.Good, "not in the list"},
		{"withdraws", root.List(t, mine), leaf.Cert, root.Cert, revoke.Revoked, "key compromise"},
		{"RSA-PSS withdraws", rsaRoot.List(t, []*x509.Certificate{rsaLeaf.Cert}, pss), rsaLeaf.Cert, rsaRoot.Cert, revoke.Revoked, ""},
		{"Ed25519 withdraws", ed.List(t, []*x509.Certificate{edLeaf.Cert}), edLeaf.Cert, ed.Cert, revoke.Revoked, ""},
		{"no extension of any kind in the certificate", root.List(t, nil), sub.Cert, root.Cert, revoke.Good, ""},
		{"signed by another key of the same name", twin.List(t, mine), leaf.Cert, root.Cert, revoke.Unknown, "signature"},
		{"stale clears nobody", root.List(t, nil, testpki.ListDates(-9, -1)), leaf.Cert, root.Cert, revoke.Unknown, "stale"},
		{"stale still withdraws", root.List(t, mine, testpki.ListDates(-9, -1)), leaf.Cert, root.Cert, revoke.Revoked, "key compromise"},
		{"stale, on hold", root.List(t, mine, testpki.ListDates(-9, -1), onHold), leaf.Cert, root.Cert, revoke.Unknown, "stale"},
		{"fresh, on hold", root.List(t, mine, onHold), leaf.Cert, root.Cert, revoke.Revoked, "certificate hold"},
		{"stale, withdrawn by another key of the same name", twin.List(t, mine, testpki.ListDates(-9, -1)), leaf.Cert, root.Cert, revoke.Unknown, "signature"},
		{"without an end clears nobody", withoutEnd(t, root, root.List(t, nil)), leaf.Cert, root.Cert, revoke.Unknown, "when the next one is due"},
		{"without an end still withdraws", withoutEnd(t, root, root.List(t, mine)), leaf.Cert, root.Cert, revoke.Revoked, "key compromise"},
		{"without an end, from the future", withoutEnd(t, root, root.List(t, mine, testpki.ListDates(1, 9))), leaf.Cert, root.Cert, revoke.Unknown, "after the instant"},
		{"from the future", root.List(t, mine, testpki.ListDates(1, 9)), leaf.Cert, root.Cert, revoke.Unknown, "after the instant"},
		{"delta", root.List(t, mine, testpki.ListExtension(pkix.Extension{Id: oidDelta, Critical: true, Value: []byte{2, 1, 1}})), leaf.Cert, root.Cert, revoke.Unknown, "delta"},
		{"unknown critical extension", root.List(t, mine, testpki.ListExtension(pkix.Extension{Id: oidOdd, Critical: true, Value: []byte{5, 0}})), leaf.Cert, root.Cert, revoke.Unknown, "critical"},
		{"unknown extension, not critical", root.List(t, mine, testpki.ListExtension(pkix.Extension{Id: oidOdd, Value: []byte{5, 0}})), leaf.Cert, root.Cert, revoke.Revoked, ""},
		{"unknown critical extension in an entry", root.List(t, mine, oddEntry), leaf.Cert, root.Cert, revoke.Unknown, "critical"},
		{"a reason nobody knows", root.List(t, mine, oddReason(12)), leaf.Cert, root.Cert, revoke.Revoked, "unspecified"},
		{"a reason of two octets", root.List(t, mine, oddReason(260)), leaf.Cert, root.Cert, revoke.Revoked, "unspecified"},
		{"a reason nobody knows, stale", root.List(t, mine, testpki.ListDates(-9, -1), oddReason(12)), leaf.Cert, root.Cert, revoke.Revoked, "unspecified"},
		{"a negative number withdraws", root.List(t, []*x509.Certificate{numbered(-129), numbered(-5)}), numbered(-5), root.Cert, revoke.Revoked, "key compromise"},
		{"a negative number, and the positive one of its octets", root.List(t, []*x509.Certificate{numbered(-5)}), numbered(251), root.Cert, revoke.Good, ""},
		{"a positive number, and the negative one of its octets", root.List(t, []*x509.Certificate{numbered(251)}), numbered(-5), root.Cert, revoke.Good, ""},
		{"a negative number, and the positive one of its size", root.List(t, []*x509.Certificate{numbered(-5)}), numbered(5), root.Cert, revoke.Good, ""},
		{"a long negative number withdraws", root.List(t, []*x509.Certificate{&long}), &long, root.Cert, revoke.Revoked, "key compromise"},
		{"its own part", root.List(t, nil, idp(named(point))), leaf.Cert, root.Cert, revoke.Good, ""},
		{"another part", root.List(t, nil, idp(named("http://crl.example/2"))), leaf.Cert, root.Cert, revoke.Unknown, "another distribution point"},
		{"end entities only, asked about one", root.List(t, nil, idp([]byte{0x81, 1, 0xff})), leaf.Cert, root.Cert, revoke.Good, ""},
		{"end entities only, asked about a CA", root.List(t, nil, idp([]byte{0x81, 1, 0xff})), sub.Cert, root.Cert, revoke.Unknown, "end entities"},
		{"CAs only, asked about an end entity", root.List(t, nil, idp([]byte{0x82, 1, 0xff})), leaf.Cert, root.Cert, revoke.Unknown, "CAs only"},
		{"attribute certificates", root.List(t, nil, idp([]byte{0x85, 1, 0xff})), leaf.Cert, root.Cert, revoke.Unknown, "attribute"},
		{"indirect", root.List(t, mine, idp([]byte{0x84, 1, 0xff})), leaf.Cert, root.Cert, revoke.Unknown, "indirect"},
		{"some reasons cannot clear", root.List(t, nil, idp([]byte{0x83, 2, 4, 0x10})), leaf.Cert, root.Cert, revoke.Unknown, "some reasons"},
		{"some reasons can withdraw", root.List(t, mine, idp([]byte{0x83, 2, 4, 0x10})), leaf.Cert, root.Cert, revoke.Revoked, ""},
		{"relative name", root.List(t, nil, idp([]byte{0xa0, 2, 0xa1, 0})), leaf.Cert, root.Cert, revoke.Unknown, "relative"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			checker := revoke.New(revoke.Config{Given: []*revoke.List{read(t, c.list)}})
			a := checker.Check(context.Background(), revoke.Query{Cert: c.cert, Issuer: c.issuer, Time: testpki.Now})
			if a.State != c.want || !strings.Contains(a.Detail, c.word) {
				t.Fatalf("%s: %s; want %s with %q", a.State, a.Detail, c.want, c.word)
			}
			if (len(a.Evidence) == 1) != (a.State == revoke.Good || a.State == revoke.Revoked) {
				t.Errorf("evidence %+v", a.Evidence)
			}
		})
	}
	t.Run("issuer may not sign lists", func(t *testing.T) {
		key := &testpki.Authority{Cert: &noSignCert, Key: noSign.Key}
		l := read(t, key.List(t, nil))
		c := noSign.Leaf(t, "dr@clinic.example")
		a := revoke.New(revoke.Config{Given: []*revoke.List{l}}).Check(context.Background(), revoke.Query{Cert: c.Cert, Issuer: noSign.Cert, Time: testpki.Now})
		if a.State != revoke.Unknown || !strings.Contains(a.Detail, "key usage") {
			t.Errorf("%+v", a)
		}
	})
}

// A list with more in it than belongs there, or in another order, is none: it could mean anything.
func TestListsOfAnotherForm(t *testing.T) {
	root := testpki.Root(t, "Root")
	leaf := root.Leaf(t, "dr@clinic.example")
	list := root.List(t, []*x509.Certificate{leaf.Cert})
	twice := func(field int) func([][]byte) [][]byte {
		return func(f [][]byte) [][]byte { return slices.Insert(f, field+1, f[field]) }
	}
	for situation, change := range map[string]func([][]byte) [][]byte{
		"two nextUpdate":    twice(fieldNextUpdate),
		"entries twice":     twice(fieldEntries),
		"extensions twice":  twice(fieldExtensions),
		"an integer behind": func(f [][]byte) [][]byte { return append(f, []byte{2, 1, 1}) },
		"entries behind the extension": func(f [][]byte) [][]byte {
			f[fieldEntries], f[fieldExtensions] = f[fieldExtensions], f[fieldEntries]
			return f
		},
	} {
		if _, err := revoke.ReadList(bytes.NewReader(altered(t, root, list, change))); err == nil {
			t.Errorf("%s: read", situation)
		}
	}
	version := func(n byte) []byte {
		return altered(t, root, list, func(f [][]byte) [][]byte { f[fieldVersion] = []byte{2, 1, n}; return f })
	}
	for n, want := range map[byte]revoke.State{0: revoke.Revoked, 1: revoke.Revoked, 2: revoke.Unknown, 0xff: revoke.Unknown} {
		a := revoke.New(revoke.Config{Given: []*revoke.List{read(t, version(n))}}).Check(context.Background(), revoke.Query{Cert: leaf.Cert, Issuer: root.Cert, Time: testpki.Now})
		if a.State != want {
			t.Errorf("version %d: %s %s, want %s", n, a.State, a.Detail, want)
		}
	}
}

func TestOfSeveralListsAtHandTheOneThatWithdrawsWins(t *testing.T) {
	root := testpki.Root(t, "Root")
	leaf := root.Leaf(t, "dr@clinic.example")
	old, younger := read(t, root.List(t, nil, testpki.ListDates(-3, 30))), read(t, root.List(t, nil, testpki.ListDates(-1, 30)))
	bad := read(t, root.List(t, []*x509.Certificate{leaf.Cert}, testpki.ListDates(-2, 30)))
	ask := func(lists ...*revoke.List) revoke.Answer {
		return revoke.New(revoke.Config{Given: lists}).Check(context.Background(), revoke.Query{Cert: leaf.Cert, Issuer: root.Cert, Time: testpki.Now})
	}
	if a := ask(old, younger, bad); a.State != revoke.Revoked {
		t.Errorf("%+v", a)
	}
	if a := ask(old, younger); a.State != revoke.Good || !a.Evidence[0].ThisUpdate.Equal(younger.ThisUpdate) {
		t.Errorf("%+v", a)
	}
}

// TestAnnouncedIsNotAllocated: a few octets that announce a large list cost a few octets.
func TestAnnouncedIsNotAllocated(t *testing.T) {
	e := newEndless(testpki.Root(t, "Root").Cert.RawSubject, 1_500_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := revoke.ReadList(io.LimitReader(e, 2000)); err == nil {
		t.Fatal("two thousand octets were read as a list")
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d octets were allocated", used)
	}
}

func TestReadListRefuses(t *testing.T) {
	root := testpki.Root(t, "Root")
	good := root.List(t, []*x509.Certificate{root.Cert})
	read(t, good)
	for i := range good { // no prefix of a list is a list
		if _, err := revoke.ReadList(bytes.NewReader(good[:i])); err == nil {
			t.Fatalf("the first %d of %d octets were read as a list", i, len(good))
		}
	}
	for name, b := range map[string][]byte{
		"a page":              []byte("<html>"),
		"octets behind":       append(bytes.Clone(good), 0),
		"endless length":      {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
		"indefinite length":   {0x30, 0x80, 0x30, 0x80, 0, 0, 0, 0},
		"a certificate":       root.Cert.Raw,
		"length not minimal":  {0x30, 0x81, 0x05, 0x30, 0x03, 0x02, 0x01, 0x01},
		"gigantic issuer":     gigantic(),
		"nested without end":  bytes.Repeat([]byte{0x30, 0x84, 0, 0xff, 0xff, 0xff}, 1000),
		"multi-octet tag":     {0x3f, 0x81, 0x01, 0x00},
		"larger than allowed": {0x30, 0x84, 0x04, 0x00, 0x00, 0x01},
	} {
		if l, err := revoke.ReadList(bytes.NewReader(b)); err == nil {
			t.Errorf("%s was read as a list of %d entries", name, l.Entries())
		}
	}
}

// gigantic claims an issuer name larger than one element may be.
func gigantic() []byte {
	name := append([]byte{0x30, 0x83, 0x02, 0x00, 0x00}, make([]byte, 0x20000)...)
	alg := []byte{0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b}
	tbs := append(alg, name...)
	tbs = append([]byte{0x30, 0x83, byte(len(tbs) >> 16), byte(len(tbs) >> 8), byte(len(tbs))}, tbs...)
	return append([]byte{0x30, 0x83, byte(len(tbs) >> 16), byte(len(tbs) >> 8), byte(len(tbs))}, tbs...)
}

// endless is a list in DER of about size octets whose entries are made as they are read.
type endless struct {
	head  []byte
	entry []byte
	left  int64
	n     uint32
}

// newEndless announces a list of exactly entries entries; what follows them is cut off.
func newEndless(issuer []byte, entries int64) *endless {
	e := &endless{entry: []byte{0x30, 0x24, 0x02, 0x11, 0x40, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
		0x17, 0x0d, '2', '6', '0', '1', '0', '1', '0', '0', '0', '0', '0', '0', 'Z', 0x05, 0x00}}
	e.entry = e.entry[:len(e.entry)-2]
	e.entry[1] = byte(len(e.entry) - 2)
	list := entries * int64(len(e.entry))
	var tbs []byte
	tbs = append(tbs, 0x02, 0x01, 0x01, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2)
	tbs = append(tbs, issuer...)
	tbs = append(tbs, "\x17\x0d260531120000Z\x17\x0d260607120000Z"...)
	tbs = append(tbs, 0x30, 0x84, byte(list>>24), byte(list>>16), byte(list>>8), byte(list))
	total := int64(len(tbs)) + list
	tbs = append([]byte{0x30, 0x84, byte(total >> 24), byte(total >> 16), byte(total >> 8), byte(total)}, tbs...)
	total += 6 + 100
	e.head = append([]byte{0x30, 0x84, byte(total >> 24), byte(total >> 16), byte(total >> 8), byte(total)}, tbs...)
	e.left = entries
	return e
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(e.head) == 0 {
			if e.left == 0 {
				if n == 0 {
					return 0, io.EOF
				}
				return n, nil
			}
			e.left--
			e.n++
			e.entry[5], e.entry[6], e.entry[7], e.entry[8] = byte(e.n>>24), byte(e.n>>16), byte(e.n>>8), byte(e.n)
			e.head = e.entry
		}
		k := copy(p[n:], e.head)
		e.head = e.head[k:]
		n += k
	}
	return n, nil
}

func TestHugeListsStayInTheirBounds(t *testing.T) {
	issuer := testpki.Root(t, "Root").Cert.RawSubject
	t.Run("a hundred megabytes are refused by the first octets", func(t *testing.T) {
		e := newEndless(issuer, 3_000_000)
		if _, err := revoke.ReadList(e); err == nil || !strings.Contains(err.Error(), "at most") {
			t.Fatalf("got %v", err)
		}
		if e.n > 3000 {
			t.Errorf("%d entries were read before refusing", e.n)
		}
	})
	t.Run("memory of a list of tens of megabytes", func(t *testing.T) {
		if testing.Short() {
			t.Skip("reads 44 MB")
		}
		const entries = 1_200_000
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err := revoke.ReadList(newEndless(issuer, entries)) // cut off behind the entries
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "ends at") {
			t.Fatalf("got %v", err)
		}
		// Everything ever allocated, garbage included: 28 octets an entry, a few spare, and the readers.
		if used := after.TotalAlloc - before.TotalAlloc; used > 28*entries*9/8+(2<<20) {
			t.Errorf("%d MiB were allocated for %d entries", used>>20, entries)
		}
	})
}

func BenchmarkReadList(b *testing.B) {
	root := testpki.Root(b, "Root")
	der := root.List(b, nil, func(l *x509.RevocationList) {
		for i := range 100_000 {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
				SerialNumber: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 120), big.NewInt(int64(i))), RevocationTime: testpki.Now.Add(-time.Hour), ReasonCode: 1,
			})
		}
	})
	b.SetBytes(int64(len(der)))
	b.ReportAllocs()
	for b.Loop() {
		if read(b, der).Entries() != 100_000 {
			b.Fatal("entries lost")
		}
	}
}

func FuzzReadList(f *testing.F) {
	root := testpki.Root(f, "Root")
	leaf := root.Leaf(f, "dr@clinic.example")
	f.Add(root.List(f, []*x509.Certificate{leaf.Cert}))
	f.Add(root.List(f, nil, idp(named("http://crl.example/1"), []byte{0x81, 1, 0xff})))
	f.Add(root.List(f, nil))
	f.Fuzz(func(t *testing.T, der []byte) {
		l, err := revoke.ReadList(bytes.NewReader(der))
		if err != nil {
			return
		}
		// What we read, the standard library must not read otherwise.
		std, err := x509.ParseRevocationList(der)
		if err == nil && len(std.RevokedCertificateEntries) < l.Entries() {
			t.Fatalf("%d entries, the library has %d", l.Entries(), len(std.RevokedCertificateEntries))
		}
		a := revoke.New(revoke.Config{Given: []*revoke.List{l}}).Check(context.Background(), revoke.Query{Cert: leaf.Cert, Issuer: root.Cert, Time: testpki.Now})
		if a.State == revoke.Good || a.State == revoke.Revoked {
			if std == nil || std.CheckSignatureFrom(root.Cert) != nil {
				t.Fatal("a list was believed that the library does not believe")
			}
		}
	})
}
