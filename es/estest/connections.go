package estest

import (
	"context"
	"errors"
	"testing"
	"time"

	"onlineshop/es"
)

// Sends is what a mapping or an extension made of an event.
type Sends struct {
	t        testing.TB
	got      []es.Command
	about    es.Recorded[any]
	due      time.Time
	rejected *es.Reaction
}

// WhenRejected is what follows where all of the commands are refused.
func (s Sends) WhenRejected(no *es.Rejection) Sends {
	var then []es.Command
	for _, c := range s.got {
		if s.rejected != nil {
			then = append(then, s.rejected.Apply(es.Rejected[any]{Recorded: s.about, Command: c, Code: no.Code, Detail: no.Detail})...)
		}
	}
	return Sends{t: s.t, got: then, about: s.about, due: s.due}
}

// ThenSends demands that exactly these commands were sent, in that order; see
// [es.Aggregate.Command].
func (s Sends) ThenSends(want ...es.Command) Sends {
	s.t.Helper()
	if diff := difference(want, s.got); diff != "" {
		s.t.Fatalf("the commands differ (-want +got):\n%s", diff)
	}
	return s
}

// ThenNothing demands that no command was sent.
func (s Sends) ThenNothing() { s.t.Helper(); s.ThenSends() }

// MappingScenario is a mapping that waits for an event.
type MappingScenario struct {
	t       testing.TB
	mapping es.Mapping
}

// Mapping starts a scenario of an event mapping.
func Mapping(t testing.TB, m es.Mapping) MappingScenario { return MappingScenario{t, m} }

// Given is an event of the mapping's source, that aggregate's first, which happened [At] 1.
func (s MappingScenario) Given(id string, event any) Sends {
	return s.GivenRecorded(first(id, event))
}

// GivenRecorded is an event of the mapping's source, with its envelope.
func (s MappingScenario) GivenRecorded(e es.Recorded[any]) Sends {
	return Sends{s.t, s.mapping.Apply(e), e, dueAt(s.mapping, e), s.mapping.Rejected}
}

// first is an aggregate's first event, which happened [At] 1.
func first(id string, event any) es.Recorded[any] {
	return es.Recorded[any]{ID: id, Event: event, Version: 1, Time: At(1), Meta: es.Meta{MessageID: "message-1", CorrelationID: "message-1", Time: At(1)}}
}

// ExtensionScenario is an extension that waits for a published event.
type ExtensionScenario struct {
	t         testing.TB
	extension es.Extension
}

// Extension starts a scenario of an extension.
func Extension(t testing.TB, x es.Extension) ExtensionScenario { return ExtensionScenario{t, x} }

// Given is an event of the extension point that the extension listens to. It happened
// [At] 1.
func (s ExtensionScenario) Given(event any) Sends {
	e := first(s.extension.Point.Key(event), event)
	e.Version = 0 // which is the publisher's own
	return s.GivenRecorded(e)
}

// GivenRecorded is an event of the extension point, with its envelope.
func (s ExtensionScenario) GivenRecorded(e es.Recorded[any]) Sends {
	return Sends{s.t, s.extension.Apply(e), e, e.Time, s.extension.Rejected}
}

// PublicationScenario is a publication that waits for an event.
type PublicationScenario struct {
	t           testing.TB
	publication es.Publication
}

// Publication starts a scenario of what an extension point tells.
func Publication(t testing.TB, p es.Publication) PublicationScenario {
	return PublicationScenario{t, p}
}

// Given is an event of the publication's source, that aggregate's first, which happened
// [At] 1.
func (s PublicationScenario) Given(id string, event any) Published {
	return s.GivenRecorded(first(id, event))
}

// GivenRecorded is an event of the publication's source, with its envelope.
func (s PublicationScenario) GivenRecorded(e es.Recorded[any]) Published {
	return Published{s.t, s.publication.Apply(e)}
}

// Published is what a publication made of an event.
type Published struct {
	t   testing.TB
	got []any
}

// ThenPublishes demands that exactly these events were published, in that order.
func (p Published) ThenPublishes(want ...any) {
	p.t.Helper()
	if diff := difference(want, p.got); diff != "" {
		p.t.Fatalf("the published events differ (-want +got):\n%s", diff)
	}
}

// ThenNothing demands that nothing was published.
func (p Published) ThenNothing() { p.t.Helper(); p.ThenPublishes() }

// SideEffectScenario is a side effect that waits for an event.
type SideEffectScenario struct {
	t      testing.TB
	effect es.SideEffect
	others []es.Happened
}

// SideEffect starts a scenario of a side effect.
func SideEffect(t testing.TB, s es.SideEffect) SideEffectScenario {
	return SideEffectScenario{t: t, effect: s}
}

// With is what has happened to aggregates that the side effect may read.
func (s SideEffectScenario) With(history ...es.Happened) SideEffectScenario {
	s.others = append(s.others[:len(s.others):len(s.others)], history...)
	return s
}

// Given runs the side effect for an event of its source, the aggregate's first, or of the
// extension point that it hears of, with that key, which happened [At] 1. An event that does not concern it is passed over.
func (s SideEffectScenario) Given(id string, event any) Done {
	if !s.effect.Concerns(event) {
		return Done{s.t, nil}
	}
	e := first(id, event)
	if s.effect.Point.Name != "" {
		e.Version = 0 // which is the publisher's own
	}
	return Done{s.t, s.effect.Run(context.Background(), NewShop(s.t).Given(s.others...).Reads(s.effect.Readable...), e)}
}

// Done is how a side effect ended.
type Done struct {
	t   testing.TB
	err error
}

// ThenDone demands that it ended well.
func (d Done) ThenDone() {
	d.t.Helper()
	if d.err != nil {
		d.t.Fatalf("the side effect failed: %v", d.err)
	}
}

// ThenFails demands that it failed with that error.
func (d Done) ThenFails(want error) {
	d.t.Helper()
	if !errors.Is(d.err, want) {
		d.t.Fatalf("the side effect ended with %v, want %v", d.err, want)
	}
}
