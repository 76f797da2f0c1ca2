package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestChangesArePublishedTogether: the first change at once, the others of the same second with the last of them; and
// again when the time is over, without any change.
func TestChangesArePublishedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		began := time.Now()
		changed := make(chan struct{}, 1)
		var at []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			repeat(ctx, changed, time.Hour, func() time.Duration {
				at = append(at, time.Since(began))
				return time.Hour
			})
		}()
		for range 500 { // for two and a half seconds
			select {
			case changed <- struct{}{}:
			default:
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(2 * time.Hour)
		stop()
		<-done
		if len(at) < 5 || at[0] != 0 || at[1] != publishGap || at[2] != 2*publishGap || at[3] != 3*publishGap || at[4] < time.Hour || len(at) > 6 {
			t.Errorf("published at %v", at)
		}
	})
}
