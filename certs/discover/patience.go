package discover

import (
	"context"
	"errors"
	"time"
)

// Limits of waiting: a search that has not been answered within Quick needs one of SlowShare places, or is put off.
// However many domains' servers are dead, and however few servers they share, all other searches go on.
const (
	Quick     = 2 * time.Second
	SlowShare = 8 // searches of a Finder that wait longer than Quick at the same time
)

// errCrowded is the cause of an end by lack of a place.
var errCrowded = errors.New("discover: too many searches wait for servers that do not answer")

// patience is the places of a Finder.
type patience chan struct{}

// wait begins a search; end ends it and says whether it was put off.
func (p patience) wait(ctx context.Context) (inner context.Context, end func() (crowded bool)) {
	inner, cancel := context.WithCancelCause(ctx)
	done, held := make(chan struct{}), false
	timer := time.AfterFunc(Quick, func() {
		defer close(done)
		select {
		case p <- struct{}{}:
			held = true
		default:
			cancel(errCrowded)
		}
	})
	return inner, func() bool {
		if !timer.Stop() {
			<-done
			if held {
				<-p
			}
		}
		crowded := errors.Is(context.Cause(inner), errCrowded)
		cancel(nil)
		return crowded
	}
}
