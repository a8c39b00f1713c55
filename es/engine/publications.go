package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"onlineshop/es"
)

// publish puts what the commit publishes at the point on the bus. A sweep publishes an
// empty entry, too. ok is false if the key was parked instead.
func (e *Engine) publish(ctx context.Context, a *aggregate, p *point, c Commit, to audience, swept bool) (ok bool, err error) {
	entry, err := p.entry(a, c)
	switch {
	case err == nil && entry == nil && swept:
		entry = &Entry{Point: p.Name, Stream: c.Stream, Seq: c.Seq, Time: c.Meta.Time, Meta: c.Meta}
	case err == nil && entry == nil:
		return true, nil
	}
	if err == nil {
		entry.to, entry.Swept, entry.Meta.Bulk = to, swept, IsBulk(ctx)
		entry.Prev, err = e.previous(ctx, a, p, c)
	}
	if err == nil {
		err = e.Bus.Publish(ctx, *entry)
		if err != nil { // a failing transport parks nothing: the commit is relayed again
			return false, fmt.Errorf("publish %s at %d on %s: %w", c.Stream, c.Seq, p.Name, err)
		}
		return true, nil
	}
	return false, e.failed(ctx, p.publisher(), c.Stream, err)
}

// entry returns what the commit publishes at the point, or nil.
func (p *point) entry(a *aggregate, c Commit) (entry *Entry, err error) {
	defer guardAt("publish on "+p.Name+":", c.Stream, c.Seq, &err)
	events, err := a.decode(c)
	if err != nil {
		return nil, err
	}
	en := Entry{Point: p.Name, Stream: c.Stream, Seq: c.Seq, Prev: -1, Time: c.Meta.Time, Meta: c.Meta}
	for _, ev := range events {
		for _, pub := range p.publications[a.Name] {
			for _, out := range pub.Apply(ev) {
				typ, version, data, err := p.Encode(out)
				if err != nil {
					return nil, fmt.Errorf("%s at %d: %w", c.Stream, c.Seq, err)
				}
				en.Events = append(en.Events, PublishedEvent{es.NewStoredEvent(typ, version, data), p.Key(out)})
			}
		}
	}
	if en.Events == nil {
		return nil, nil
	}
	return &en, nil
}

// previous returns the seq of the stream's latest commit before c that published at the
// point, or -1.
func (e *Engine) previous(ctx context.Context, a *aggregate, p *point, c Commit) (int64, error) {
	for before := c.Seq; before > 0; {
		page, err := e.before(ctx, c.Stream, before)
		if err != nil {
			return 0, err
		}
		if len(page) == 0 {
			break
		}
		for _, b := range page {
			if b, err = e.Opened(ctx, b); err != nil {
				return 0, err
			}
			if en, err := p.entry(a, b); err != nil {
				return 0, err
			} else if en != nil {
				return b.Seq, nil
			}
			before = b.Seq
		}
	}
	return -1, nil
}

// Since implements [Publications] for the plugins of this engine.
func (e *Engine) Since(ctx context.Context, name string, s Stream, from int64) (entries []Entry, next int64, more bool, err error) {
	p, a := e.points[name], e.aggregates[s.Aggregate]
	if p == nil || a == nil || p.publications[s.Aggregate] == nil {
		return nil, 0, false, fmt.Errorf("publications of %s at %s: nothing is published there from it", s, name)
	}
	next = from
	size, prev := 0, from-1
	if from > 0 {
		head, err := e.head(ctx, s)
		switch {
		case err != nil:
			return nil, 0, false, err
		case head == nil:
			return nil, 0, false, nil
		case from > head.Seq+1:
			return nil, head.Seq + 1, false, nil
		}
	}
	err = e.commits(ctx, s, from, func(c Commit) error {
		if size >= maxPage {
			more = true
			return errStop
		}
		next = c.Seq + 1
		en, err := p.entry(a, c)
		if err != nil || en == nil {
			return err
		}
		en.Prev, prev = prev, c.Seq
		for _, ev := range en.Events {
			size += len(ev.Data) + len(ev.Key) + 100
		}
		entries = append(entries, *en)
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return entries, next, more, err
}

// maxPage is the approximate size of a page of entries in bytes.
const maxPage = 1 << 20

func (e *Engine) publications() Publications {
	if e.Publications != nil {
		return e.Publications
	}
	return e
}

// told is the metadata that the point's followers get: who did what is the publisher's own
// business, and is not on the bus.
func (en Entry) told() es.Meta {
	return es.Meta{MessageID: en.Meta.MessageID, CorrelationID: en.Meta.CorrelationID, Service: en.Meta.Service, Time: en.Time}
}

// published yields the entries of another plugin's extension point. This plugin may not
// read that one's log, so it asks the publisher for what the hint does not carry.
func (e *Engine) published(ctx context.Context, f *follower, h Hint, next int64) iter.Seq2[delivery, error] {
	return func(yield func(delivery, error) bool) {
		one := func(en Entry) bool {
			d := delivery{stream: en.Stream, seq: en.Seq, meta: en.Meta, events: make([]es.Recorded[any], 0, len(en.Events))}
			for _, p := range en.Events {
				events, err := decode(f.contract.Decode, p.StoredEvent)
				if err != nil {
					yield(d, fmt.Errorf("%s at %d: %w", en.Stream, en.Seq, err))
					return false
				}
				for _, ev := range events {
					d.events = append(d.events, es.Recorded[any]{ID: p.Key, Event: ev, Time: en.Time, Meta: en.told()})
				}
			}
			return yield(d, nil)
		}
		// What is further on than the next commit is asked for: nobody is believed that
		// the publisher's log reaches so far.
		if h.Entry != nil && h.Entry.Events != nil && h.Entry.Seq == next {
			one(*h.Entry)
			return
		}
		for {
			entries, end, more, err := e.publications().Since(ctx, f.channel(h.Stream), h.Stream, next)
			if err != nil {
				yield(delivery{}, fmt.Errorf("publications of %s since %d: %w", h.Stream, next, err))
				return
			}
			for _, en := range entries {
				if !one(en) {
					return
				}
			}
			if !more {
				return
			}
			next = end
		}
	}
}

// resetExtension moves an extension's cursor back if it is beyond the end of the
// publisher's log, which happens when that is restored from a backup. The entry of a
// sweep, which is the stream's latest, is the occasion to ask.
func (e *Engine) resetExtension(ctx context.Context, f *follower, h Hint, next int64) error {
	if h.Entry == nil || !h.Entry.Swept || next <= h.Seq+1 {
		return nil
	}
	_, end, _, err := e.publications().Since(ctx, f.channel(h.Stream), h.Stream, next)
	if err == nil && end < next {
		err = e.Cursors.Advance(ctx, f.name, h.Stream, next, end)
	}
	if err != nil {
		return fmt.Errorf("%s: cursor on %s beyond the end of its log: %w", f.name, h.Stream, err)
	}
	return nil
}

// republish puts the stream's latest publication on the bus again. Followers ask for
// what they miss before it. ok is false if the key was parked instead.
func (e *Engine) republish(ctx context.Context, p *point, s Stream) (ok bool, err error) {
	a := e.aggregates[s.Aggregate]
	var head *Commit
	for before := int64(StreamEnd); before > 0; {
		page, err := e.before(ctx, s, before)
		if err != nil {
			return false, e.failed(ctx, p.publisher(), s, err)
		}
		if len(page) == 0 {
			break
		}
		if head == nil {
			head = &page[0]
		}
		for _, c := range page {
			c, err := e.Opened(ctx, c)
			if err != nil {
				return false, e.failed(ctx, p.publisher(), s, err)
			}
			en, err := p.entry(a, c)
			if err != nil {
				return false, e.failed(ctx, p.publisher(), s, err)
			}
			if en != nil {
				return e.publish(ctx, a, p, c, everybody, true)
			}
			before = c.Seq
		}
	}
	if head == nil {
		return true, nil
	}
	opened, err := e.Opened(ctx, *head)
	if err != nil {
		return false, e.failed(ctx, p.publisher(), s, err)
	}
	return e.publish(ctx, a, p, opened, everybody, true)
}
