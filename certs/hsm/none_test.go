//go:build !pkcs11 || !cgo

package hsm_test

import (
	"errors"
	"testing"

	"postern/certs/hsm"
)

func TestABuildWithoutPKCS11SaysSo(t *testing.T) {
	if _, err := hsm.Open(hsm.Config{Module: "/lib/x.so", Token: "t"}); !errors.Is(err, hsm.ErrNotBuilt) {
		t.Errorf("got %v", err)
	}
}
