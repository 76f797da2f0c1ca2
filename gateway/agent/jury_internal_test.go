package agent

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

// asked is a judge that writes down what it is asked and refuses.
type asked struct {
	questions []string
	budgets   map[*trust.Budget]bool
}

func (a *asked) Evaluate(_ context.Context, q trust.Question) (trust.Decision, error) {
	a.questions = append(a.questions, fmt.Sprintf("%s for %s %s", q.Cert.Raw, q.Local, q.Purpose))
	a.budgets[q.Budget] = true
	return trust.Decision{Reason: trust.Untrusted, Detail: "refused"}, nil
}

// Each certificate is judged once for each domain, whatever the number of its signatures and of the
// domain's people, and all questions about one message share one budget.
func TestEachSignerIsJudgedOnceForADomain(t *testing.T) {
	one, two := &x509.Certificate{Raw: []byte("one")}, &x509.Certificate{Raw: []byte("two")}
	many := &smime.Opened{}
	for i := range 3 * MaxSigners {
		many.Signers = append(many.Signers, smime.Signer{Cert: &x509.Certificate{Raw: fmt.Append(nil, i/2)}})
	}
	signers := func(cs ...*x509.Certificate) *smime.Opened {
		o := &smime.Opened{}
		for _, c := range cs {
			o.Signers = append(o.Signers, smime.Signer{Cert: c})
		}
		return o
	}
	for _, c := range []struct {
		situation string
		opened    *smime.Opened
		purpose   trust.Purpose
		to        []string
		want      int
		questions []string // nil = only their number counts
	}{
		{"one signer, one recipient", signers(one), trust.Mail, []string{"a@x.example"}, 1, []string{"one for x.example mail"}},
		{"one signer three times, three recipients of a domain", signers(one, &x509.Certificate{Raw: []byte("one")}, one), trust.Mail,
			[]string{"a@x.example", "b@x.example", "c@x.example"}, 1, []string{"one for x.example mail"}},
		{"two signers, two domains", signers(one, two, one), trust.Mail, []string{"a@x.example", "a@y.example", "b@x.example"}, 4,
			[]string{"one for x.example mail", "two for x.example mail", "one for y.example mail", "two for y.example mail"}},
		{"a notice is asked about twice", signers(one, one), trust.Notice, []string{"a@x.example", "b@x.example"}, 2,
			[]string{"one for x.example mail", "one for x.example notice"}},
		{"signers beyond the limit", many, trust.Mail, []string{"a@x.example", "b@x.example"}, MaxSigners, nil},
		{"a signature that does not hold", &smime.Opened{Signers: []smime.Signer{{Cert: one, Reason: "bad"}, {}}}, trust.Mail, []string{"a@x.example"}, 0, nil},
	} {
		t.Run(c.situation, func(t *testing.T) {
			judge := &asked{budgets: map[*trust.Budget]bool{}}
			a := &Agent{Judge: judge, Now: func() time.Time { return time.Unix(2e9, 0) }}
			j := a.newJury(c.opened, addr.MustParse("doc@hospital.example"), c.purpose)
			for _, to := range c.to {
				rcpt := addr.MustParse(to)
				v, err := j.verdict(t.Context(), rcpt)
				if err != nil || v.OK || !v.Recipient.Equal(rcpt) || c.want > 0 && v.Reason != string(trust.Untrusted) {
					t.Fatalf("%+v, %v", v, err)
				}
			}
			if len(judge.questions) != c.want || c.questions != nil && !slices.Equal(judge.questions, c.questions) {
				t.Errorf("asked %q", judge.questions)
			}
			if c.want > 0 && (len(judge.budgets) != 1 || judge.budgets[nil]) {
				t.Errorf("%d budgets", len(judge.budgets))
			}
		})
	}
}
