package estest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onlineshop/es"
)

// At is when the n-th event (from 1) of a scenario happened: n seconds into the
// year 2026.
func At(n int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)
}

// Shop keeps aggregates' histories in memory and decides with their own rules.
// It is an [es.Shop], and so an [es.Reader]: what tasks, side effects and checks
// work with. Its methods may be called from several goroutines.
//
// As in a real shop, events go through their wire form, a command takes effect
// once per message id, and rules that read other aggregates are asked only where
// events would be appended. Who may send a command is not asked: a task is the
// system.
type Shop struct {
	*memory
	caller es.Caller
	reads  *[]es.Readable // beside states and histories; nil: anything
}

type memory struct {
	t          testing.TB
	deciding   sync.Mutex // one command at a time
	mu         sync.Mutex // guards what follows
	aggregates map[string]es.AggregateDefinition
	streams    map[stream]*history
	happened   int               // events in all streams
	stopAfter  int               // negative: never
	objects    map[string]string // by bucket and key
}

type stream struct{ aggregate, id string }

type history struct {
	of       es.AggregateDefinition
	id       string
	owner    string
	events   []es.Recorded[any]
	outcomes map[string]accepted // by message id
}

type accepted struct {
	command string // its wire form
	es.Outcome
}

// NewShop opens a shop in which nothing has happened. It knows the aggregates
// named here, and those that [Shop.Given] brings.
func NewShop(t testing.TB, aggregates ...es.AnyAggregate) *Shop {
	m := &memory{t: t, aggregates: map[string]es.AggregateDefinition{}, streams: map[stream]*history{}, objects: map[string]string{}, stopAfter: -1}
	for _, a := range aggregates {
		d := a.Definition()
		m.aggregates[d.Name] = d
	}
	return &Shop{memory: m, caller: es.System()}
}

// Given adds to what has happened. The n-th event of all happened [At] n.
func (s *Shop) Given(happened ...es.Happened) *Shop {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range happened {
		s.aggregates[h.Aggregate] = h.Definition()
		if _, err := s.append(s.stream(h.Aggregate, h.ID), h.Owner, es.Meta{}, h.Events); err != nil {
			s.t.Fatalf("given %s %q: %v", h.Aggregate, h.ID, err)
		}
	}
	return s
}

// As is the same shop, read by that caller.
func (s *Shop) As(caller es.Caller) *Shop { return &Shop{s.memory, caller, s.reads} }

// StopAfter lets [Shop.Stopping] say yes when it is asked for the n-th time
// from now (from 1), and from then on; never where n is 0.
func (s *Shop) StopAfter(n int) *Shop {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopAfter = n - 1
	return s
}

// ThenHappened demands that exactly these events are the aggregates' histories.
func (s *Shop) ThenHappened(want ...es.Happened) {
	s.t.Helper()
	for _, h := range want {
		var got []any
		for _, e := range s.History(h.Aggregate, h.ID) {
			got = append(got, e.Event)
		}
		if diff := difference(h.Events, got); diff != "" {
			s.t.Errorf("what happened to %s %q differs (-want +got):\n%s", h.Aggregate, h.ID, diff)
		}
	}
}

// Caller implements [es.Reader].
func (s *Shop) Caller() es.Caller { return s.caller }

// Load implements [es.Reader].
func (s *Shop) Load(_ context.Context, aggregate, id string) (es.Loaded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.stream(aggregate, id)
	if h.of.InPlace {
		return es.Loaded{}, fmt.Errorf("load %s %q: it evolves in place and can't be read by others", aggregate, id)
	}
	return es.Loaded{State: h.state(), Owner: h.owner, Version: h.version()}, nil
}

// History is what has happened to an aggregate.
func (s *Shop) History(aggregate, id string) []es.Recorded[any] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.stream(aggregate, id).events)
}

// Events implements [es.Reader].
func (s *Shop) Events(_ context.Context, aggregate, id string) iter.Seq2[es.Recorded[any], error] {
	return func(yield func(es.Recorded[any], error) bool) {
		for _, e := range s.History(aggregate, id) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Stopping implements [es.Shop].
func (s *Shop) Stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopAfter > 0 {
		s.stopAfter--
		return false
	}
	return s.stopAfter == 0
}

// Write implements [es.Shop]. Every bucket is there, and every task has all rights.
func (s *Shop) Write(_ context.Context, bucket, key string, write func(io.Writer) error) error {
	var b strings.Builder
	if err := write(&b); err != nil {
		return err
	}
	s.Put(bucket, key, b.String())
	return nil
}

// Read implements [es.Shop].
func (s *Shop) Read(_ context.Context, bucket, key string) (io.ReadCloser, error) {
	text, ok := s.Object(bucket, key)
	if !ok {
		return nil, es.ErrObjectGone
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// Put puts an object into a bucket.
func (s *Shop) Put(bucket, key, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[bucket+"/"+key] = text
}

// Object is what lies in a bucket.
func (s *Shop) Object(bucket, key string) (text string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok = s.objects[bucket+"/"+key]
	return text, ok
}

// Execute implements [es.Shop]; the commands are executed one after the other.
func (s *Shop) Execute(ctx context.Context, commands ...es.TaskCommand) []es.Outcome {
	outcomes := make([]es.Outcome, len(commands))
	for i, c := range commands {
		outcomes[i] = s.execute(ctx, c)
	}
	return outcomes
}

func (s *Shop) execute(ctx context.Context, c es.TaskCommand) es.Outcome {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	s.mu.Lock()
	h := s.stream(c.Aggregate, c.ID)
	s.mu.Unlock()
	if h.of.Name == "" {
		return es.Outcome{Err: fmt.Errorf("the test's shop does not know %s: name it in NewShop", c.Aggregate)}
	}
	typ, data, err := h.of.EncodeCommand(c.Payload)
	if err != nil {
		return es.Outcome{Err: err}
	}
	command := typ + string(data)
	if first, again := h.outcomes[c.MessageID]; again {
		if first.command != command {
			return es.Outcome{Err: fmt.Errorf("message id %q was another command's to %s %q", c.MessageID, c.Aggregate, c.ID)}
		}
		return first.Outcome
	}
	s.mu.Lock()
	meta := es.Meta{MessageID: c.MessageID, CorrelationID: c.CorrelationID, User: s.caller.User, Owner: h.owner, Time: At(s.happened + 1)}
	s.mu.Unlock()
	events, owner, err := s.decide(ctx, h, c.Payload, meta)
	if err != nil || len(events) == 0 {
		return es.Outcome{Version: h.version(), Err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := es.Outcome{}
	if out.Events, out.Err = s.append(h, owner, meta, events); out.Err != nil {
		return out
	}
	if out.Version = h.version(); c.MessageID != "" {
		h.outcomes[c.MessageID] = accepted{command, out}
	}
	return out
}

func (s *Shop) decide(ctx context.Context, h *history, command any, meta es.Meta) (events []any, owner string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	events, err = h.of.Decide(command, h.state(), meta)
	if err != nil || len(events) == 0 {
		return nil, "", err
	}
	if h.of.Check != nil {
		if err := h.of.Check(ctx, s.Reads(), command, meta); err != nil {
			return nil, "", err
		}
	}
	owner, err = ownerOf(ctx, h.of, s.Reads(), command)
	return events, owner, err
}

// stream is an aggregate's history, made where there is none.
func (m *memory) stream(aggregate, id string) *history {
	h := m.streams[stream{aggregate, id}]
	if h == nil {
		h = &history{id: id, outcomes: map[string]accepted{}}
		m.streams[stream{aggregate, id}] = h
	}
	if h.of.Name == "" {
		h.of = m.aggregates[aggregate]
	}
	return h
}

// append adds events to a stream, as they are after their wire form.
func (m *memory) append(h *history, owner string, meta es.Meta, events []any) (names []string, err error) {
	if h.version() == 0 {
		h.owner = owner
	}
	meta.Owner = h.owner
	for _, e := range events {
		typ, version, data, err := h.of.EncodeEvent(e)
		if err != nil {
			return nil, err
		}
		decoded, err := h.of.DecodeEvent(typ, version, data)
		if err != nil {
			return nil, err
		}
		e = decoded[0] // of its present shape
		m.happened++
		meta.Time = At(m.happened)
		h.events = append(h.events, es.Recorded[any]{ID: h.id, Event: e, Version: h.version() + 1, Time: meta.Time, Meta: meta})
		names = append(names, typ)
	}
	return names, nil
}

func (h *history) version() int64 { return int64(len(h.events)) }

func (h *history) state() any {
	state := h.of.Initial
	for _, e := range h.events {
		state = h.of.Evolve(e.Event, state)
	}
	return state
}
