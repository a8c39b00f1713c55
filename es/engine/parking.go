package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"onlineshop/es"
)

// failed parks the key. A transient failure is returned instead, and the hint must be
// delivered again.
func (e *Engine) failed(ctx context.Context, consumer string, s Stream, failure error) error {
	if transient(failure) {
		return fmt.Errorf("%s on %s: %w", consumer, s, failure)
	}
	return e.park(ctx, consumer, s, failure)
}

// failedAgain is like failed, for a key that is already parked. If only a newer version
// of the program can read the stream, the key stays parked and its backoff grows.
func (e *Engine) failedAgain(ctx context.Context, consumer string, s Stream, failure error) error {
	if errors.Is(failure, es.ErrUnknownType) {
		return e.park(ctx, consumer, s, failure)
	}
	return e.failed(ctx, consumer, s, failure)
}

func (e *Engine) park(ctx context.Context, consumer string, s Stream, failure error) error {
	now := e.Clock.Now()
	e.Count("Parked", consumer)
	e.Logger.ErrorContext(ctx, "parked: this key is retried with backoff, other streams are not affected", "consumer", consumer, "stream", s, "error", failure)
	err := e.Parking.Park(ctx, Parked{Consumer: consumer, Stream: s, Error: failure.Error(), Since: now, Last: now, Attempts: 1})
	if err != nil {
		return fmt.Errorf("park %s on %s: %w", consumer, s, err)
	}
	return nil
}

// parked returns the parked key. Call it before the work that may end the parking. It
// never returns nil: the cursor's mark may be left from a parking that is over.
func (e *Engine) parked(ctx context.Context, consumer string, s Stream) (*Parked, error) {
	p, err := e.Parking.Parked(ctx, consumer, s)
	if err != nil {
		return nil, fmt.Errorf("parking of %s on %s: %w", consumer, s, err)
	}
	if p == nil {
		p = &Parked{Consumer: consumer, Stream: s}
	}
	return p, nil
}

func (e *Engine) unpark(ctx context.Context, p Parked) error {
	if err := e.Parking.Unpark(ctx, p); err != nil {
		return fmt.Errorf("unpark %s on %s: %w", p.Consumer, p.Stream, err)
	}
	return nil
}

// transient reports whether err is temporary: the work should be retried, and the key
// must not be parked.
func transient(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrDamaged) || errors.Is(err, es.ErrUnknownType) || errors.Is(err, ErrContention) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// ListParked returns a page of what is parked. next is the cursor of the following page,
// empty at the end. A foreign cursor gives [ErrCursor].
func (e *Engine) ListParked(ctx context.Context, cursor string) (parked []Parked, next string, err error) {
	if parked, next, err = e.Parking.ListParked(ctx, cursor); err != nil {
		return nil, "", fmt.Errorf("list what is parked: %w", err)
	}
	return parked, next, nil
}

// Redrive retries a page of parked keys, no matter when they failed. A foreign cursor
// gives [ErrCursor].
func (e *Engine) Redrive(ctx context.Context, cursor string) (Progress, error) {
	return e.redrive(ctx, cursor, func(Parked) bool { return true })
}

// RedriveDue retries those parked keys of a page whose backoff is over: 10 s after the
// first failure, doubled for each further one, at most an hour.
func (e *Engine) RedriveDue(ctx context.Context, cursor string) (Progress, error) {
	now := e.Clock.Now()
	return e.redrive(ctx, cursor, func(p Parked) bool {
		doubled := min(max(p.Attempts-1, 0), 10) // stored values may be out of range
		wait := min(10*time.Second<<doubled, time.Hour)
		return !p.Last.Add(wait).After(now)
	})
}

func (e *Engine) redrive(ctx context.Context, cursor string, due func(Parked) bool) (Progress, error) {
	ctx = Bulk(ctx)
	parked, next, err := e.ListParked(ctx, cursor)
	if err != nil {
		return Progress{}, err
	}
	out := Progress{Next: next}
	var errs []error
	for _, p := range parked {
		if due(p) {
			out.Done++
			errs = append(errs, e.retryParked(ctx, p))
		}
	}
	return out, errors.Join(errs...)
}

// retryParked retries a parked key. A row is rebuilt, since the failure may have been a
// rebuild's.
func (e *Engine) retryParked(ctx context.Context, p Parked) error {
	switch id := ParseConsumer(p.Consumer); {
	case e.followers[p.Consumer] != nil:
		return e.hint(ctx, Hint{Follower: p.Consumer, Stream: p.Stream, Seq: StreamEnd, Parked: true})
	case id.Kind == KindReadModel && e.models[id.Name] != nil:
		if _, err := e.row(ctx, e.models[id.Name], p.Stream.ID, catchUpTo{afresh: true}); err != nil {
			return e.failedAgain(ctx, p.Consumer, p.Stream, err)
		}
		return e.unpark(ctx, p)
	case id.Kind == KindPublication && e.points[id.Name] != nil:
		ok, err := e.republish(ctx, e.points[id.Name], p.Stream)
		if err != nil {
			return e.failedAgain(ctx, p.Consumer, p.Stream, err)
		}
		if !ok {
			return nil
		}
		return e.unpark(ctx, p)
	}
	e.Logger.WarnContext(ctx, "parked for a consumer that this program does not have; left alone", "consumer", p.Consumer, "stream", p.Stream)
	return nil
}
