package chain_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/lab/corpus"
	"postern/trust/chain"
	"postern/trust/internal/testpki"
)

// outcome is what came of one foreign case: "valid", "unparsable", or the reason of the fault.
func outcome(q chain.Request) string {
	res := chain.Build(context.Background(), q, nil)
	if res.Path != nil {
		return "valid"
	}
	return string(res.Fault.Reason)
}

// difference is a case in which we answer otherwise than its author, and why ours is right here.
type difference struct{ ours, why string }

// compare holds one answer against its author's and against the list of our differences.
func compare(t *testing.T, ours string, valid bool, listed map[string]difference, id string) {
	t.Helper()
	agree := (ours == "valid") == valid
	d, isListed := listed[id]
	switch {
	case isListed && agree:
		t.Errorf("listed as a difference (%s), but we agree: %s", d.why, ours)
	case isListed && d.ours != ours:
		t.Errorf("answered %s, listed %s (%s)", ours, d.ours, d.why)
	case !isListed && !agree:
		t.Errorf("answered %s, the author says valid=%v", ours, valid)
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// pems parses the certificates of a PEM text; ok is false when the strict parser refuses one.
func pems(text []byte) (certs []*x509.Certificate, ok bool) {
	ok = true
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return certs, ok
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			ok = false
			continue
		}
		certs = append(certs, c)
	}
}

type boringCase struct {
	ID      string `json:"id"`
	Chain   string `json:"chain"`
	Trust   string `json:"last_cert_trust"`
	Time    string `json:"utc_time"`
	Purpose string `json:"key_purpose"`
	Valid   bool   `json:"expect_valid"`
}

func (c boringCase) at(t *testing.T) time.Time {
	t.Helper()
	if c.Time == "DEFAULT" {
		return time.Date(2021, 10, 5, 12, 0, 0, 0, time.UTC)
	}
	at, err := time.Parse("060102150405Z", c.Time)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestBoringSSL(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t, "pki"), "boringssl")
	var cases []boringCase
	readJSON(t, filepath.Join(dir, "cases.json"), &cases)
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(c.Chain)))
			if err != nil {
				t.Fatal(err)
			}
			certs, ok := pems(text)
			ours := "unparsable"
			if ok {
				purpose := x509.ExtKeyUsageAny
				if len(c.Purpose) > 6 && c.Purpose[:6] == "SERVER" {
					purpose = x509.ExtKeyUsageServerAuth
				} else if len(c.Purpose) > 6 && c.Purpose[:6] == "CLIENT" {
					purpose = x509.ExtKeyUsageClientAuth
				}
				ours = outcome(chain.Request{
					Leaf: certs[0], Extra: certs[1:],
					Anchors: []*chain.Set{chain.NewSet(certs[len(certs)-1:])},
					Rules:   chain.Rules{Time: c.at(t), Purpose: purpose},
				})
			}
			compare(t, ours, c.Valid, boringDifferences(), c.ID)
		})
	}
}

type limboCase struct {
	ID            string    `json:"id"`
	Trusted       []string  `json:"trusted_certs"`
	Intermediates []string  `json:"untrusted_intermediates"`
	Peer          string    `json:"peer_certificate"`
	Kind          string    `json:"validation_kind"`
	Time          time.Time `json:"validation_time"`
	Expected      string    `json:"expected_result"`
}

func TestLimbo(t *testing.T) {
	var suite struct {
		Cases []limboCase `json:"testcases"`
	}
	readJSON(t, filepath.Join(corpus.Dir(t, "pki"), "limbo", "limbo_subset.json"), &suite)
	if len(suite.Cases) < 80 {
		t.Fatalf("%d cases", len(suite.Cases))
	}
	for _, c := range suite.Cases {
		t.Run(c.ID, func(t *testing.T) {
			leaf, ok := pems([]byte(c.Peer))
			if c.Time.IsZero() {
				c.Time = testpki.Now
			}
			ours := "unparsable"
			if ok && len(leaf) == 1 { // what is unparsable beside the leaf is left out, as a gateway does
				q := chain.Request{Leaf: leaf[0], Rules: chain.Rules{Time: c.Time, Purpose: x509.ExtKeyUsageServerAuth}}
				if c.Kind == "CLIENT" {
					q.Rules.Purpose = x509.ExtKeyUsageClientAuth
				}
				var anchors []*x509.Certificate
				for _, text := range c.Trusted {
					more, _ := pems([]byte(text))
					anchors = append(anchors, more...)
				}
				for _, text := range c.Intermediates {
					more, _ := pems([]byte(text))
					q.Extra = append(q.Extra, more...)
				}
				q.Anchors = []*chain.Set{chain.NewSet(anchors)}
				ours = outcome(q)
			}
			compare(t, ours, c.Expected == "SUCCESS", limboDifferences(), c.ID)
		})
	}
}

// pkitsTime is inside the dates of the suite's anchor, 2001 to 2011, and of its CRLs.
var pkitsTime = time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC)

type pkitsCase struct {
	ID             string   `json:"id"`
	Number         string   `json:"number"`
	Certs          []string `json:"certs"`
	CRLs           []string `json:"crls"`
	Valid          bool     `json:"should_validate"`
	Policies       []string `json:"initial_policy_set"`
	InhibitMapping bool     `json:"initial_policy_mapping_inhibit"`
	Explicit       bool     `json:"initial_explicit_policy"`
}

// aboutRevocation is the cases whose answer depends on a CRL; trust/revoke runs the suite with its CRLs.
func (c pkitsCase) aboutRevocation() bool {
	for _, section := range []string{"4.4.", "4.5.5", "4.7.4", "4.14.", "4.15."} {
		if strings.HasPrefix(c.Number, section) {
			return true
		}
	}
	return false
}

func TestPKITSWithoutRevocation(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t, "pki"), "pkits")
	var cases []pkitsCase
	readJSON(t, filepath.Join(dir, "cases.json"), &cases)
	for _, c := range cases {
		if c.aboutRevocation() {
			continue
		}
		t.Run(c.Number+" "+c.ID, func(t *testing.T) {
			ours := "unparsable"
			var certs []*x509.Certificate
			for _, name := range c.Certs {
				der, err := os.ReadFile(filepath.Join(dir, "certs", name+".crt"))
				if err != nil {
					t.Fatal(err)
				}
				parsed, err := x509.ParseCertificate(der)
				if err != nil {
					certs = nil
					break
				}
				certs = append(certs, parsed)
			}
			if n := len(certs); n > 0 {
				q := chain.Request{
					Leaf: certs[n-1], Extra: certs[1 : n-1], Anchors: []*chain.Set{chain.NewSet(certs[:1])},
					Rules: chain.Rules{Time: pkitsTime, MinRSA: 1024, Legacy: true, Policy: chain.PolicyRules{InhibitMapping: c.InhibitMapping, Explicit: c.Explicit}},
				}
				for _, p := range c.Policies {
					id, err := x509.ParseOID("2.16.840.1.101.3.2.1.48." + p[len(p)-1:])
					if err != nil {
						t.Fatal(err)
					}
					q.Rules.Policy.Acceptable = append(q.Rules.Policy.Acceptable, id)
				}
				ours = outcome(q)
			}
			compare(t, ours, c.Valid, pkitsDifferences(), c.ID)
		})
	}
}

// TestRealCertificates: certificates that HISPs really exchanged, and samples of a linter, are parsed
// or refused without a panic, and each parsed one gets a verdict against the anchors of its time.
func TestRealCertificates(t *testing.T) {
	var anchors, others []*x509.Certificate
	var names []string
	refused := 0
	for _, e := range corpus.Walk(t, "pki") {
		folder, _, _ := strings.Cut(e.File, "/")
		if folder != "direct_anchors" && folder != "direct_public" && folder != "zlint_smime" {
			continue
		}
		raw := e.Read(t)
		if block, _ := pem.Decode(raw); block != nil {
			raw = block.Bytes
		}
		switch c, err := x509.ParseCertificate(raw); {
		case err != nil:
			refused++
			t.Logf("%s: %v", e.File, err)
		case folder == "direct_anchors":
			anchors = append(anchors, c)
		default:
			others, names = append(others, c), append(names, e.File)
		}
	}
	if len(anchors) < 20 || len(others) < 50 || refused == 0 {
		t.Fatalf("%d anchors, %d other certificates, %d refused: the corpus is not what it was", len(anchors), len(others), refused)
	}
	set := chain.NewSet(anchors)
	var valid []string
	for i, c := range others {
		at := c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2)
		if outcome(chain.Request{Leaf: c, Anchors: []*chain.Set{set}, Rules: chain.Rules{Time: at, Legacy: true, MinRSA: 1024}}) == "valid" {
			valid = append(valid, names[i])
		}
	}
	want := []string{"direct_public/direct@inpriva.ohti.net.der", "direct_public/mobile.careinbox.com.der",
		"direct_public/sandbox.myhealthisp.com.cer", "direct_public/test1@practice1.hin1.us.der"}
	if !slices.Equal(valid, want) {
		t.Errorf("with a path to an anchor of their time: %v, want %v", valid, want)
	}
}
