package revoke_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/gateway/lab/corpus"
	"postern/trust/chain"
	"postern/trust/revoke"
)

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

// pkitsDifferences is where the verdict of path and lists together differs from the suite's.
func pkitsDifferences() map[string]string {
	const (
		dsa      = "DSA is refused: no Direct text allows it"
		indirect = "indirect lists are not supported; a partner's certificate that has only those stays unknown, never good"
		relative = "a point named relative to its issuer is not resolved; the answer is unknown, never good"
	)
	return map[string]string{
		"Section1ValidDSASignaturesTest4":           dsa,
		"Section1ValidDSAParameterInheritanceTest5": dsa,
		"Section14ValiddistributionPointTest5":      relative,
		"Section14ValiddistributionPointTest7":      relative,
		"Section14ValidIDPwithindirectCRLTest24":    indirect,
		"Section14ValidcRLIssuerTest30":             indirect,
		"Section15ValiddeltaCRLTest5":               "delta lists are not read: the complete list that withdraws a certificate stands until the next one",
	}
}

// TestPKITS runs the whole suite, paths and lists: valid means that every certificate below the
// anchor is known to be good.
func TestPKITS(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t, "pki"), "pkits")
	raw, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []pkitsCase
	if err := json.Unmarshal(raw, &cases); err != nil || len(cases) < 100 {
		t.Fatal(len(cases), err)
	}
	for _, c := range cases {
		t.Run(c.Number+" "+c.ID, func(t *testing.T) {
			ours := c.run(t, dir)
			why, listed := pkitsDifferences()[c.ID]
			switch agree := (ours == "valid") == c.Valid; {
			case listed && agree:
				t.Errorf("listed as a difference (%s), but we agree", why)
			case !listed && !agree:
				t.Errorf("answered %s, the suite says valid=%v", ours, c.Valid)
			}
		})
	}
}

func (c pkitsCase) run(t *testing.T, dir string) string {
	var certs []*x509.Certificate
	for _, name := range c.Certs {
		der, err := os.ReadFile(filepath.Join(dir, "certs", name+".crt"))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return "unparsable"
		}
		certs = append(certs, parsed)
	}
	var lists []*revoke.List
	for _, name := range c.CRLs {
		der, err := os.ReadFile(filepath.Join(dir, "crls", name+".crl"))
		if err != nil {
			t.Fatal(err)
		}
		l, err := revoke.ReadList(bytes.NewReader(der))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lists = append(lists, l)
	}
	at := time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC)
	checker := revoke.New(revoke.Config{Given: lists})
	n := len(certs)
	q := chain.Request{
		Leaf: certs[n-1], Extra: certs[1 : n-1], Anchors: []*chain.Set{chain.NewSet(certs[:1])},
		Rules: chain.Rules{Time: at, MinRSA: 1024, Legacy: true, Policy: chain.PolicyRules{InhibitMapping: c.InhibitMapping, Explicit: c.Explicit}},
	}
	for _, p := range c.Policies {
		id, err := x509.ParseOID("2.16.840.1.101.3.2.1.48." + p[len(p)-1:])
		if err != nil {
			t.Fatal(err)
		}
		q.Rules.Policy.Acceptable = append(q.Rules.Policy.Acceptable, id)
	}
	last := "no path"
	res := chain.Build(context.Background(), q, func(path []*x509.Certificate) bool {
		for k := len(path) - 2; k >= 0; k-- {
			a := checker.Check(context.Background(), revoke.Query{Cert: path[k], Issuer: path[k+1], Also: path[k+2:], Time: at, Legacy: true})
			if a.State != revoke.Good {
				last = string(a.State) + " " + a.Detail
				return false
			}
		}
		return true
	})
	if res.Path != nil {
		return "valid"
	}
	return last
}
