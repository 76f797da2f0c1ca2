package agent_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"postern/certs"
	"postern/gateway/agent"
	"postern/smime/addr"
)

// faulty is a fake whose own keys cannot be read just now.
type faulty struct{ *fake }

func (faulty) Signing(context.Context, addr.Address) (certs.Credential, error) {
	return certs.Credential{}, errors.New("database is locked")
}

// A fault of ours while fetching the signing key is an error, to be tried again: never a refusal that the
// sender is told.
func TestKeyFaultIsNoRefusal(t *testing.T) {
	f, _, _ := sender(t)
	a := &agent.Agent{Finder: f, Judge: f.judge, Keys: faulty{f}, Policies: f}
	s, err := a.Seal(t.Context(), agent.Outbound{From: addr.MustParse("doc@hospital.example"), Recipients: []addr.Address{intake},
		Content: io.NewSectionReader(bytes.NewReader(nil), 0, 0)}, func() (io.Writer, error) { return io.Discard, nil })
	if err == nil || len(s.Verdicts) != 0 {
		t.Errorf("%v, verdicts %+v", err, s.Verdicts)
	}
	if _, err := a.Explain(t.Context(), addr.MustParse("doc@hospital.example"), intake); err == nil {
		t.Error("explained without the key")
	}
}
