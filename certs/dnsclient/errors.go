package dnsclient

import (
	"encoding/base64"
	"fmt"
	"time"
)

// Error is a failed lookup.
type Error struct {
	Kind    error // ErrNotFound or ErrTemporary
	Name    string
	Type    string
	Detail  string    // in words: "NXDOMAIN", "SERVFAIL from 192.0.2.1:53" …
	Expires time.Time // ErrNotFound: until when that may be believed; zero = do not keep
	Trace   []Step
}

func (e *Error) Error() string {
	return fmt.Sprintf("%v: %s %s: %s", e.Kind, e.Name, e.Type, e.Detail)
}

// Unwrap lets errors.Is find the kind.
func (e *Error) Unwrap() error { return e.Kind }

// decodeBase64 turns the library's text form of CERT content back into octets.
func decodeBase64(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil // the library wrote it; an empty certificate is skipped like any unreadable one
	}
	return b
}
