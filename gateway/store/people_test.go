package store_test

import (
	"testing"
	"time"

	"postern/certs/issue"
	"postern/gateway/message"
)

type messageID = message.ID

// authority is an anchor's certificate, DER.
func authority(t testing.TB) []byte {
	t.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Anchor", Algorithm: issue.P256, Now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	return ca.Cert.Raw
}
