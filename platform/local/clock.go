package local

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// clock implements [engine.Clock] with the machine's.
type clock struct{}

// Now implements [engine.Clock].
func (clock) Now() time.Time { return time.Now() }

// Sleep implements [engine.Clock]: it waits between half of d and one and a half.
func (clock) Sleep(ctx context.Context, d time.Duration) error {
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
func (clock) NewID() string { return uuid.Must(uuid.NewV7()).String() }
