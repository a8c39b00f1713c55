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
		return fmt.Errorf("%s on %s: %w", consumer, s, discreet(ctx, failure))
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
	failure = discreet(ctx, failure)
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
	return e.redrive(ctx, cursor, func(p Parked) bool { return !p.Due().After(now) })
}

// Due is when the key's backoff is over.
func (p Parked) Due() time.Time {
	doubled := min(max(p.Attempts-1, 0), 10) // stored values may be out of range
	return p.Last.Add(min(10*time.Second<<doubled, time.Hour))
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
	ctx = e.noting(ctx)
	switch id := ParseConsumer(p.Consumer); {
	case e.followers[p.Consumer] != nil:
		return e.hint(ctx, Hint{Follower: p.Consumer, Stream: p.Stream, Seq: StreamEnd, Parked: true})
	case id.Kind == KindReadModel && e.models[id.Name] != nil:
		if err := e.bring(ctx, e.models[id.Name], p.Stream.ID, catchUpTo{afresh: true}); err != nil {
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

// RedriveKey retries one parked key, no matter when it failed. If it is not parked the
// error is [ErrNotFound].
func (e *Engine) RedriveKey(ctx context.Context, consumer string, s Stream) error {
	p, err := e.isParked(ctx, consumer, s)
	if err != nil {
		return err
	}
	return e.retryParked(Bulk(ctx), *p)
}

func (e *Engine) isParked(ctx context.Context, consumer string, s Stream) (*Parked, error) {
	p, err := e.Parking.Parked(ctx, consumer, s)
	if err != nil {
		return nil, fmt.Errorf("parking of %s on %s: %w", consumer, s, err)
	}
	if p == nil {
		return nil, ErrNotFound.Because("%s is not parked on %s", consumer, s)
	}
	return p, nil
}

// Skip lets a parked follower pass over the commit that it fails on, and go on after it.
// What it would have done about that commit is never done. Rows and publications can't
// skip anything: the error is [ErrCantSkip].
func (e *Engine) Skip(ctx context.Context, consumer string, s Stream, who, reason string) error {
	p, err := e.isParked(ctx, consumer, s)
	if err != nil {
		return err
	}
	f := e.followers[consumer]
	if f == nil {
		return ErrCantSkip.Because("%s must have every commit: mend what it fails on, and redrive it", consumer)
	}
	cur, err := e.Cursors.Cursor(ctx, f.name, s)
	if err != nil {
		return fmt.Errorf("%s: cursor on %s: %w", f.name, s, err)
	}
	at, err := e.failing(ctx, f, s, cur.Next)
	if err != nil {
		return err
	}
	e.Logger.WarnContext(ctx, "skipped by an operator: what the follower would have done about this commit is not done",
		"follower", consumer, "stream", s, "seq", at, "who", who, "reason", reason, "error", p.Error)
	skip := KeptRejection{Command: CommandID{Origin: f.name + "/" + s.String(), Seq: at, Index: SkippedIndex}, Code: CodeSkipped, Detail: reason, User: who}
	if _, err := e.keep(ctx, skip, anyPlace); err != nil {
		return err
	}
	if err := e.Cursors.Advance(ctx, f.name, s, cur.Next, at+1); err != nil {
		return fmt.Errorf("%s: move cursor on %s past %d: %w", f.name, s, at, err)
	}
	return e.hint(Bulk(ctx), Hint{Follower: f.name, Stream: s, Seq: StreamEnd, Parked: true}) // which unparks it
}

// failing is the place of the commit that a parked follower fails on: the first from next
// on that concerns it.
func (e *Engine) failing(ctx context.Context, f *follower, s Stream, next int64) (seq int64, err error) {
	for d, err := range e.deliveries(ctx, f, Hint{Follower: f.name, Stream: s}, next) {
		if err != nil && d.stream != s {
			return 0, err // the log can't be read
		}
		act, failure := f.react(d)
		if err != nil || act != nil || failure != nil {
			return d.seq, nil
		}
	}
	return 0, ErrNotFound.Because("%s has nothing left to do on %s: redrive it", f.name, s)
}
