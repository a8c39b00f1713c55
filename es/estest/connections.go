package estest

import (
	"context"
	"errors"
	"testing"

	"onlineshop/es"
)

// Sends is what a mapping or an extension made of an event.
type Sends struct {
	t   testing.TB
	got []es.Command
}

// ThenSends demands that exactly these commands were sent, in that order; see
// [es.Aggregate.Command].
func (s Sends) ThenSends(want ...es.Command) {
	s.t.Helper()
	if diff := difference(want, s.got); diff != "" {
		s.t.Fatalf("the commands differ (-want +got):\n%s", diff)
	}
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

// Given is an event of the mapping's source.
func (s MappingScenario) Given(id string, event any) Sends {
	return Sends{s.t, s.mapping.Apply(id, event)}
}

// ExtensionScenario is an extension that waits for a published event.
type ExtensionScenario struct {
	t         testing.TB
	extension es.Extension
}

// Extension starts a scenario of an extension.
func Extension(t testing.TB, x es.Extension) ExtensionScenario { return ExtensionScenario{t, x} }

// Given is an event of the extension point that the extension listens to.
func (s ExtensionScenario) Given(event any) Sends { return Sends{s.t, s.extension.Apply(event)} }

// PublicationScenario is a publication that waits for an event.
type PublicationScenario struct {
	t           testing.TB
	publication es.Publication
}

// Publication starts a scenario of what an extension point tells.
func Publication(t testing.TB, p es.Publication) PublicationScenario {
	return PublicationScenario{t, p}
}

// Given is an event of the publication's source.
func (s PublicationScenario) Given(id string, event any) Published {
	return Published{s.t, s.publication.Apply(id, event)}
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

// Given runs the side effect for an event of its source, the aggregate's first,
// which happened [At] 1. An event that does not concern it is passed over.
func (s SideEffectScenario) Given(id string, event any) Done {
	if !s.effect.Concerns(event) {
		return Done{s.t, nil}
	}
	recorded := es.Recorded[any]{ID: id, Event: event, Version: 1, Time: At(1), Meta: es.Meta{MessageID: "message-1", CorrelationID: "message-1"}}
	return Done{s.t, s.effect.Run(context.Background(), NewShop(s.t).Given(s.others...), recorded)}
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
