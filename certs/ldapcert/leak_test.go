package ldapcert_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Who starts a goroutine waits for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
