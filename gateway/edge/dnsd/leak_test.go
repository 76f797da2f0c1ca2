package dnsd_test

import (
	"testing"

	"postern/gateway/lab/leak"
)

// Who starts a goroutine waits for it.
func TestMain(m *testing.M) { leak.Main(m) }
