package local

import (
	"context"
	"fmt"
	"time"

	"onlineshop/es/engine"
)

// hints implements [engine.Hints] and [engine.Bus] within the process: a hint
// without a delay is followed before Send returns.
type hints struct {
	*Platform
}

// Send implements [engine.Hints].
func (h hints) Send(ctx context.Context, delay time.Duration, list ...engine.Hint) error {
	if delay > 0 {
		jobs := make([]job, len(list))
		for i, x := range list {
			jobs[i] = job{consumer: x.Follower, Stream: x.Stream, seq: x.Seq, bulk: x.Bulk}
		}
		return h.later.add(ctx, delay, jobs...)
	}
	for _, x := range list {
		if err := h.follow(ctx, x); err != nil {
			if ctx.Err() != nil {
				return err
			}
			if x.Parked {
				h.log.WarnContext(ctx, "a parked key could not be tried now", "follower", x.Follower, "stream", x.Stream, "error", err)
				continue // it stays listed, and its time comes again
			}
			h.log.WarnContext(ctx, "deferred: a hint could not be followed; it will be retried", "follower", x.Follower, "stream", x.Stream, "seq", x.Seq, "error", err)
			if err := h.later.add(ctx, firstRetry, job{consumer: x.Follower, Stream: x.Stream, seq: x.Seq, bulk: x.Bulk}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Publish implements [engine.Bus].
func (h hints) Publish(ctx context.Context, entries ...engine.Entry) error {
	for _, e := range entries {
		if err := h.Send(ctx, 0, h.engine.Heard(e)...); err != nil {
			return err
		}
	}
	return nil
}

// place is a follower on a stream.
type place struct {
	follower string
	engine.Stream
}

// follow lets a follower have one hint on a stream at a time, so that a hint
// that is repeated meanwhile finds the cursor moved: no side effect runs twice.
func (p *Platform) follow(ctx context.Context, h engine.Hint) error {
	unlock, err := p.following.Lock(ctx, place{h.Follower, h.Stream})
	if err != nil {
		return fmt.Errorf("%s on %s: %w", h.Follower, h.Stream, err)
	}
	defer unlock()
	return p.engine.Follow(ctx, h)
}
