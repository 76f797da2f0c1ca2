package selftest

import (
	"os"
	"testing"

	"postern/gateway/lab/leak"
)

// Whoever starts a goroutine waits for it, also in tests.
func TestMain(m *testing.M) {
	leak.Main(m, func() {
		if clinicFolder != "" {
			os.RemoveAll(clinicFolder)
		}
	})
}
