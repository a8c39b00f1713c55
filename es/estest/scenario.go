package estest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onlineshop/es"
)

// Scenario is an aggregate with a history, about to be sent a command. Its
// methods return scenarios and leave the one that they are called on as it is.
type Scenario[C, E, S any] struct {
	t         testing.TB
	aggregate es.Aggregate[C, E, S]
	history   []E
	owner     string
	others    []es.Happened
	caller    es.Caller
	at        time.Time // zero: a second after the latest event
}

// Of starts a scenario of an aggregate to which nothing has happened, with the
// system as the caller. Only the aggregate's own events and commands compile.
func Of[C, E, S any](t testing.TB, a es.Aggregate[C, E, S]) Scenario[C, E, S] {
	return Scenario[C, E, S]{t: t, aggregate: a, caller: es.System()}
}

// Given adds to what has happened to the aggregate.
func (s Scenario[C, E, S]) Given(events ...E) Scenario[C, E, S] {
	s.history = append(slices.Clip(s.history), events...)
	return s
}

// By says who the aggregate belongs to.
func (s Scenario[C, E, S]) By(owner string) Scenario[C, E, S] { s.owner = owner; return s }

// With adds what has happened to other aggregates, which the command's rules
// may read.
func (s Scenario[C, E, S]) With(history ...es.Happened) Scenario[C, E, S] {
	s.others = append(slices.Clip(s.others), history...)
	return s
}

// As says who sends the command.
func (s Scenario[C, E, S]) As(caller es.Caller) Scenario[C, E, S] { s.caller = caller; return s }

// At says when the command is sent; without it, that is [At] one more than there are
// events.
func (s Scenario[C, E, S]) At(t time.Time) Scenario[C, E, S] { s.at = t; return s }

// When sends the command as a user would: who may send it is asked first, then
// the limits of its fields, then the aggregate's own rule, then, where events
// would be appended, the rules that read other aggregates.
func (s Scenario[C, E, S]) When(c C) Result[E] {
	s.t.Helper()
	r := Result[E]{t: s.t}
	d := s.aggregate.Definition()
	access, err := accessOf(d, c)
	if err != nil {
		s.t.Fatalf("send %T: %v", c, err)
	}
	created := len(s.history) > 0
	if r.denied = !access.AdmitsOwner(s.caller, s.owner) && (created || !access.Owner); r.denied {
		return r
	}
	if c, r.err = s.aggregate.Valid(c); r.err != nil {
		return r
	}
	var zero S
	meta := es.Meta{MessageID: "message", CorrelationID: "message", User: s.caller.User, Owner: s.owner, Time: s.at}
	if meta.Time.IsZero() {
		meta.Time = At(len(s.history) + 1)
	}
	r.events, r.err = s.aggregate.Decide(c, s.aggregate.Fold(zero, s.history...), meta)
	if r.err != nil || len(r.events) == 0 {
		return r
	}
	reader := NewShop(s.t).Given(s.others...).As(s.caller).Reads()
	if r.err = s.aggregate.Check(context.Background(), reader, c, meta); r.err != nil {
		return r
	}
	if r.owner = s.owner; !created {
		r.owner, r.err = ownerOf(context.Background(), d, reader, c)
	}
	return r
}

func accessOf(d es.AggregateDefinition, command any) (es.Access, error) {
	name, _, err := d.EncodeCommand(command)
	if err != nil {
		return es.Access{}, err
	}
	i := slices.IndexFunc(d.Commands, func(c es.CommandDefinition) bool { return c.Name == name })
	if i < 0 {
		return es.Access{}, errors.New(d.Name + " does not list its command " + name)
	}
	return d.Commands[i].Access, nil
}

func ownerOf(ctx context.Context, d es.AggregateDefinition, r es.Reader, command any) (string, error) {
	if d.Owner == nil {
		return r.Caller().User, nil
	}
	return d.Owner(ctx, r, command)
}

// Result is what became of a command.
type Result[E any] struct {
	t      testing.TB
	events []E
	err    error
	denied bool
	owner  string
}

// Then demands that exactly these events were decided.
func (r Result[E]) Then(want ...E) Result[E] {
	r.t.Helper()
	r.accepted()
	if diff := difference(want, r.events); diff != "" {
		r.t.Fatalf("the events differ (-want +got):\n%s", diff)
	}
	return r
}

// ThenNothing demands that the command was accepted with nothing to change.
func (r Result[E]) ThenNothing() { r.t.Helper(); r.Then() }

// ThenOwnedBy demands that the aggregate belongs to that user from now on.
func (r Result[E]) ThenOwnedBy(user string) Result[E] {
	r.t.Helper()
	r.accepted()
	if r.owner != user {
		r.t.Fatalf("it belongs to %q, want %q", r.owner, user)
	}
	return r
}

func (r Result[E]) accepted() {
	r.t.Helper()
	switch {
	case r.denied:
		r.t.Fatal("the caller may not send this command")
	case r.err != nil:
		r.t.Fatalf("rejected: %v", r.err)
	}
}

// ThenRejected demands that the domain said no: want's code and, where want has
// some, its further members.
func (r Result[E]) ThenRejected(want *es.Rejection) {
	r.t.Helper()
	var got *es.Rejection
	switch {
	case r.denied:
		r.t.Fatalf("the caller may not send this command, want rejection %v", want)
	case r.err == nil:
		r.t.Fatalf("accepted with %+v, want rejection %v", r.events, want)
	case !errors.As(r.err, &got) || !got.Is(want):
		r.t.Fatalf("got %v, want rejection %v", r.err, want)
	case want.Members != nil:
		if diff := difference(want.Members, got.Members); diff != "" {
			r.t.Fatalf("the rejection's members differ (-want +got):\n%s", diff)
		}
	}
}

// ThenInvalid demands that exactly these fields, by JSON pointer, break limits.
func (r Result[E]) ThenInvalid(pointers ...string) {
	r.t.Helper()
	var problems *es.ValidationError
	if !errors.As(r.err, &problems) {
		r.t.Fatalf("got %+v (error: %v), want problems with %q", r.events, r.err, pointers)
	}
	var got []string
	for _, p := range problems.List {
		got = append(got, p.Pointer)
	}
	if diff := difference(pointers, got); diff != "" {
		r.t.Fatalf("%v: the pointers differ (-want +got):\n%s", problems, diff)
	}
}

// ThenDenied demands that the caller may not send this command here.
func (r Result[E]) ThenDenied() {
	r.t.Helper()
	if !r.denied {
		r.t.Fatalf("got %+v (error: %v), want it to be denied", r.events, r.err)
	}
}

// difference is empty where the values are equal; no items equal none.
func difference(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b es.Price) bool { return a == b }))
}
