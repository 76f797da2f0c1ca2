package leak_test

import (
	"testing"
	"time"

	"postern/gateway/lab/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestWhatEndsLateIsNoLeak: a goroutine that ends a second after the look began.
func TestWhatEndsLateIsNoLeak(t *testing.T) {
	before := leak.Now()
	end := make(chan struct{})
	go func() { <-end }()
	timer := time.AfterFunc(time.Second, func() { close(end) })
	defer timer.Stop()
	leak.None(t, before)
	select {
	case <-end:
	default:
		t.Error("a goroutine that still ran was not seen")
	}
}
