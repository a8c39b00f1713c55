// Package clock is the machine's clock, for platforms that run on one.
package clock

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// Clock implements [engine.Clock].
type Clock struct{}

// Now implements [engine.Clock].
func (Clock) Now() time.Time { return time.Now() }

// Sleep implements [engine.Clock]: it waits between half of d and one and a half.
func (Clock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d+1))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// NewID implements [engine.Clock] with UUIDv7, which sort by time.
func (Clock) NewID() string { return uuid.Must(uuid.NewV7()).String() }
