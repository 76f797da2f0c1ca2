package revoke_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"postern/trust/internal/testpki"
	"postern/trust/revoke"
)

// answers is a store of OCSP answers, like the gateway's database.
type answers struct {
	values  map[string][]byte
	expires map[string]time.Time
	broken  error
}

func newAnswers() *answers {
	return &answers{values: map[string][]byte{}, expires: map[string]time.Time{}}
}

func (a *answers) Load(_ context.Context, key string) ([]byte, bool, error) {
	v, ok := a.values[key]
	return v, ok, a.broken
}

func (a *answers) Save(_ context.Context, key string, value []byte, expires time.Time) error {
	if a.broken == nil {
		a.values[key], a.expires[key] = value, expires
	}
	return a.broken
}

func (w *world) checkerWith(a *answers) *revoke.Checker {
	return revoke.New(revoke.Config{Fetcher: fetcher(), Store: w.dir, Answers: a, Clock: w.clock.Now})
}

// TestAnswersSurviveARestart: a process that starts anew asks the responder no sooner than the one before would
// have, and believes what is kept only if it is authentic.
func TestAnswersSurviveARestart(t *testing.T) {
	w := newWorld(t)
	w.leaf = w.root.Leaf(t, "dr@clinic.example", responderAt(w.URL+"/o"))
	w.put("/o", w.answer(t, ocsp.Good, testpki.Now.Add(-time.Hour)))
	kept := newAnswers()
	first := w.ask(t, w.checkerWith(kept), revoke.Good)
	again := w.ask(t, w.checkerWith(kept), revoke.Good)
	if w.requests() != 1 || !bytes.Equal(first.Evidence[0].Response, again.Evidence[0].Response) || !again.Until.Equal(first.Until) {
		t.Errorf("%d requests, %v then %v", w.requests(), first.Until, again.Until)
	}
	w.clock.now = testpki.Now.Add(revoke.AskAgain + time.Second)
	w.ask(t, w.checkerWith(kept), revoke.Good)
	if w.requests() != 2 {
		t.Errorf("%d requests: the responder is to be asked again after %v", w.requests(), revoke.AskAgain)
	}
	// An older answer is no better after a restart.
	w.clock.now = w.clock.now.Add(revoke.AskAgain + time.Second)
	w.put("/o", w.answer(t, ocsp.Revoked, testpki.Now.Add(time.Minute)))
	w.ask(t, w.checkerWith(kept), revoke.Revoked)
	w.put("/o", w.answer(t, ocsp.Good, testpki.Now.Add(-time.Hour)))
	w.clock.now = w.clock.now.Add(revoke.AskAgain + time.Second)
	w.ask(t, w.checkerWith(kept), revoke.Revoked)
	// Nor is one that somebody wrote into the store.
	asked := w.requests()
	for key, value := range kept.values {
		kept.values[key] = bytes.Replace(value, []byte("response\":\""), []byte("response\":\"AAAA"), 1)
	}
	w.ask(t, w.checkerWith(kept), revoke.Good)
	if w.requests() != asked+1 {
		t.Errorf("a damaged answer was believed: %d requests", w.requests()-asked)
	}
}

func TestAWithdrawalOutlivesItsAnswerAndARestart(t *testing.T) {
	w := newWorld(t)
	w.leaf = w.root.Leaf(t, "dr@clinic.example", responderAt(w.URL+"/o"))
	w.put("/o", w.answer(t, ocsp.Revoked, testpki.Now.Add(-time.Hour)))
	kept := newAnswers()
	w.ask(t, w.checkerWith(kept), revoke.Revoked)
	for _, until := range kept.expires {
		if !until.Equal(w.leaf.Cert.NotAfter) {
			t.Errorf("kept until %v, the certificate lives until %v", until, w.leaf.Cert.NotAfter)
		}
	}
	w.put("/o", ocsp.TryLaterErrorResponse)
	w.clock.now = testpki.Now.AddDate(0, 0, 10) // the answer was for five days
	w.ask(t, w.checkerWith(kept), revoke.Revoked)
	hold := w.root.ResponseAt(t, ocsp.Response{SerialNumber: w.leaf.Cert.SerialNumber, Status: ocsp.Good, ThisUpdate: w.clock.now, NextUpdate: w.clock.now.AddDate(0, 0, 1)}, w.root)
	w.put("/o", hold)
	w.clock.now = w.clock.now.Add(revoke.LongestRetry + time.Second)
	w.ask(t, w.checkerWith(kept), revoke.Good) // a newer word of the issuer counts
}

func TestAStoreOfAnswersThatFailsCostsAQuestion(t *testing.T) {
	w := newWorld(t)
	w.leaf = w.root.Leaf(t, "dr@clinic.example", responderAt(w.URL+"/o"))
	w.put("/o", w.answer(t, ocsp.Good, testpki.Now.Add(-time.Hour)))
	kept := newAnswers()
	kept.broken = errors.New("database is locked")
	w.ask(t, w.checkerWith(kept), revoke.Good)
	w.ask(t, w.checkerWith(kept), revoke.Good)
	if w.requests() != 2 {
		t.Errorf("%d requests", w.requests())
	}
}

// TestListsAreFetchedAheadOfTheirEnd: a list of ten days is replaced in its last one, by nobody's question, so that
// no message waits for it and none is judged by a stale one.
func TestListsAreFetchedAheadOfTheirEnd(t *testing.T) {
	w := newWorld(t)
	w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(0, 10)))
	c := w.checker()
	w.ask(t, c, revoke.Good)
	day := 24 * time.Hour
	refreshed := w.requests()
	for age := revoke.ListAge + time.Minute; age < 8*day; age += revoke.ListAge + time.Minute { // in use: looked at twice a day
		w.clock.now = testpki.Now.Add(age)
		if n, err := c.Refresh(t.Context()); n != 0 || err != nil {
			t.Fatalf("at %v: %d, %v", age, n, err)
		}
		refreshed++
	}
	w.clock.now = testpki.Now.Add(9*day + time.Minute)
	w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(9, 19)))
	if n, err := c.Refresh(t.Context()); n != 1 || err != nil {
		t.Fatalf("a tenth of the list's life is left: replaced %d, %v", n, err)
	}
	if w.requests() != refreshed+1 {
		t.Errorf("%d requests, want %d", w.requests(), refreshed+1)
	}
	w.clock.now = testpki.Now.Add(10*day + time.Hour) // past the end of the first
	if a := w.ask(t, c, revoke.Good); w.requests() != refreshed+1 || !a.Evidence[0].NextUpdate.Equal(testpki.Now.Add(19*day)) {
		t.Errorf("the question went to the network: %d requests; %+v", w.requests(), a)
	}
}

// TestTheListOfADecisionStays: what a decision names by its SHA-256 is still there when a newer list has come.
func TestTheListOfADecisionStays(t *testing.T) {
	w := newWorld(t)
	old := w.root.List(t, []*x509.Certificate{w.leaf.Cert}, testpki.ListDates(-1, 2))
	w.put("/l.crl", old)
	c := w.checker()
	id := w.ask(t, c, revoke.Revoked).Evidence[0].SHA256
	w.clock.now = testpki.Now.AddDate(0, 0, 1).Add(13 * time.Hour)
	w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(1, 30)))
	if n, err := c.Refresh(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	r, err := w.dir.Used(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if sum := sha256.Sum256(b); err != nil || hex.EncodeToString(sum[:]) != id || !bytes.Equal(b, old) {
		t.Errorf("%v: %d octets that are not the list", err, len(b))
	}
	for _, odd := range []string{"", "../../etc/passwd", id[:10], hex.EncodeToString(make([]byte, 32))} {
		if _, err := w.dir.Used(odd); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", odd, err)
		}
	}
}
