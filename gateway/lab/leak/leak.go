// Package leak tells when the code under test has left goroutines behind.
//
// It looks with go.uber.org/goleak, which knows the goroutines of the runtime and of the testing package; goleak itself
// looks for less than half a second, in which a goroutine that is about to end may not have had its turn on a machine
// with much else to do. This package looks again for a minute.
//
// It is imported from tests only.
package leak

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const patience = time.Minute

// Main runs a package's tests and then fails when goroutines are left that no test waited for. after is done in between.
func Main(m *testing.M, after ...func()) {
	code := m.Run()
	for _, f := range after {
		f()
	}
	if code == 0 {
		if err := find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// Now is the goroutines that None is to overlook, because they ran before.
func Now() goleak.Option { return goleak.IgnoreCurrent() }

// None fails a test when others are left than those of before.
func None(t testing.TB, before goleak.Option) {
	t.Helper()
	if err := find(before); err != nil {
		t.Error(err)
	}
}

// find looks until there is nothing to be found; each look takes goleak's own time.
func find(options ...goleak.Option) error {
	for end := time.Now().Add(patience); ; {
		if err := goleak.Find(options...); err == nil || time.Now().After(end) {
			return err
		}
	}
}
