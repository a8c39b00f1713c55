package engine

import (
	"context"
	"errors"
	"fmt"
	"onlineshop/es"
	"strings"
	"time"
)

// failed parks a key, unless the failure is a passing one: then it is returned,
// and the hint is to be delivered again.
func (e *Engine) failed(ctx context.Context, consumer string, s Stream, failure error) error {
	if transient(failure) {
		return fmt.Errorf("%s on %s: %w", consumer, s, failure)
	}
	return e.park(ctx, consumer, s, failure)
}

// failedAgain is failed for a key that is parked already. What only a newer version
// of the program can read waits there, and is tried ever more seldom.
func (e *Engine) failedAgain(ctx context.Context, consumer string, s Stream, failure error) error {
	if errors.Is(failure, es.ErrUnknownType) {
		return e.park(ctx, consumer, s, failure)
	}
	return e.failed(ctx, consumer, s, failure)
}

func (e *Engine) park(ctx context.Context, consumer string, s Stream, failure error) error {
	now := e.Clock.Now()
	e.Count("Parked", consumer)
	e.Logger.ErrorContext(ctx, "parked: others go on, this key waits for the sweep or a redrive", "consumer", consumer, "stream", s, "error", failure)
	err := e.Parking.Park(ctx, Parked{Consumer: consumer, Stream: s, Error: failure.Error(), Since: now, Last: now, Attempts: 1})
	if err != nil {
		return fmt.Errorf("park %s on %s: %w", consumer, s, err)
	}
	return nil
}

// parked is a key's parking, to be read before the work that may end it. It is
// never nil: a mark may be left from one that is over.
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

// transient says that an error is no verdict on the work: it is worth trying
// again, and parks nothing.
func transient(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrDamaged) || errors.Is(err, es.ErrUnknownType) || errors.Is(err, ErrContention) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// ListParked pages through what is parked.
func (e *Engine) ListParked(ctx context.Context, cursor string) (parked []Parked, next string, err error) {
	if parked, next, err = e.Parking.ListParked(ctx, cursor); err != nil {
		return nil, "", fmt.Errorf("list what is parked: %w", err)
	}
	return parked, next, nil
}

// Redrive tries a page of parked keys again, whenever they failed.
func (e *Engine) Redrive(ctx context.Context, cursor string) (Progress, error) {
	return e.redrive(ctx, cursor, func(Parked) bool { return true })
}

// RedriveDue tries those parked keys of a page again whose back-off is over:
// 10 s after the first failure, doubled for each further one, at most an hour.
func (e *Engine) RedriveDue(ctx context.Context, cursor string) (Progress, error) {
	now := e.Clock.Now()
	return e.redrive(ctx, cursor, func(p Parked) bool {
		doubled := min(max(p.Attempts-1, 0), 10) // what is stored is not trusted to be in range
		wait := min(10*time.Second<<doubled, time.Hour)
		return !p.Last.Add(wait).After(now)
	})
}

func (e *Engine) redrive(ctx context.Context, cursor string, due func(Parked) bool) (Progress, error) {
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

// retryParked tries a parked key. A row is folded afresh, since it may be a rebuild that
// failed, and is taken off the list by this alone.
func (e *Engine) retryParked(ctx context.Context, p Parked) error {
	switch kind, name, _ := strings.Cut(p.Consumer, ":"); {
	case e.followers[p.Consumer] != nil:
		return e.hint(ctx, Hint{Follower: p.Consumer, Stream: p.Stream, Seq: StreamEnd, Parked: true})
	case kind == "readmodel" && e.models[name] != nil:
		if _, err := e.row(ctx, e.models[name], p.Stream.ID, catchUpTo{afresh: true}); err != nil {
			return e.failedAgain(ctx, p.Consumer, p.Stream, err)
		}
		return e.unpark(ctx, p)
	case kind == "publication" && e.points[name] != nil:
		ok, err := e.republish(ctx, e.points[name], p.Stream)
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
