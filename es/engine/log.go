package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"onlineshop/es"
)

// errStop ends an iteration over a log early.
var errStop = errors.New("stop")

// commits calls yield for each commit of a stream from seq from to its end.
func (e *Engine) commits(ctx context.Context, s Stream, from int64, yield func(Commit) error) error {
	return e.commitsBy(ctx, s, from, 0, yield)
}

// commitsBy is commits, by pages of limit, for those that need no more.
func (e *Engine) commitsBy(ctx context.Context, s Stream, from int64, limit int, yield func(Commit) error) error {
	return e.openedBy(ctx, e.opener(s), from, limit, yield)
}

// openedBy is commitsBy with an opener for them.
func (e *Engine) openedBy(ctx context.Context, o *opener, from int64, limit int, yield func(Commit) error) error {
	return e.storedBy(ctx, o.stream, from, limit, func(c Commit) error {
		c, err := o.open(ctx, c)
		if err != nil {
			e.noteBroken(ctx, c.Stream, err)
			return err
		}
		return yield(c)
	})
}

// storedBy is commitsBy for the commits as they are stored, with what is personal sealed.
func (e *Engine) storedBy(ctx context.Context, s Stream, from int64, limit int, yield func(Commit) error) error {
	for at := chainAt(s, from); ; {
		page, more, err := e.Log.Read(ctx, s, at.next, limit)
		if err != nil {
			return fmt.Errorf("read %s from %d: %w", s, at.next, err)
		}
		for _, c := range page {
			if err := at.step(c); err != nil {
				e.damaged(ctx, s, err)
				return err
			}
			if err := yield(c); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

// content returns the commit with its events as they are stored, reading them if it comes
// without.
func (e *Engine) content(ctx context.Context, c Commit) (Commit, error) {
	if len(c.Events) > 0 {
		return c, nil
	}
	err := e.storedBy(ctx, c.Stream, c.Seq, 1, func(stored Commit) error {
		c = stored
		return errStop
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return c, err
}

func (e *Engine) before(ctx context.Context, s Stream, seq int64) ([]Commit, error) {
	page, err := e.Log.ReadBackward(ctx, s, seq)
	if err != nil {
		return nil, fmt.Errorf("read %s before %d: %w", s, seq, err)
	}
	return page, nil
}

// head returns the stream's last commit, or nil if the stream is empty.
func (e *Engine) head(ctx context.Context, s Stream) (*Commit, error) {
	page, err := e.before(ctx, s, math.MaxInt64)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	return &page[0], nil
}

// decoding holds a commit's events, decoded on first use.
type decoding struct {
	once   sync.Once
	events []es.Recorded[any]
	err    error
}

// shared returns the commit with room for its decoded events, which all copies share.
func (c Commit) shared() Commit {
	if c.decoded == nil {
		c.decoded = &decoding{}
	}
	return c
}

// decode returns a commit's events, with their envelopes. The caller must not modify
// them: they may be shared.
func (a *aggregate) decode(c Commit) ([]es.Recorded[any], error) {
	if c.decoded == nil {
		return a.decodeAnew(c)
	}
	c.decoded.once.Do(func() { c.decoded.events, c.decoded.err = a.decodeAnew(c) })
	return c.decoded.events, c.decoded.err
}

func (a *aggregate) decodeAnew(c Commit) ([]es.Recorded[any], error) {
	out := make([]es.Recorded[any], 0, len(c.Events))
	for i, s := range c.Events {
		events, err := decode(a.DecodeEvent, s)
		if err != nil {
			return nil, fmt.Errorf("%s at %d: %w", c.Stream, c.Seq, err)
		}
		for _, e := range events {
			out = append(out, es.Recorded[any]{
				ID: c.Stream.ID, Event: e, Version: c.Version - int64(len(c.Events)) + int64(i) + 1,
				Time: c.Meta.Time, Meta: c.Meta.public(),
			})
		}
	}
	return out, nil
}

// decode decodes a stored event, which may be several today. Upcasters are the author's code and may panic.
func decode(read func(typ string, version int, data []byte) ([]any, error), s es.StoredEvent) (events []any, err error) {
	defer Guard("read event "+s.Type, &err)
	return read(s.Type, s.Version, s.Data)
}

func (m Meta) public() es.Meta {
	return es.Meta{
		MessageID: m.MessageID, CorrelationID: m.CorrelationID, CausationID: m.CausationID,
		User: m.User, Owner: m.Owner, Service: m.Service, Time: m.Time,
	}
}
