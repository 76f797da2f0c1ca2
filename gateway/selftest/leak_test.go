package selftest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Whoever starts a goroutine waits for it, also in tests.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if clinicFolder != "" {
			os.RemoveAll(clinicFolder)
		}
		os.Exit(code)
	}))
}
