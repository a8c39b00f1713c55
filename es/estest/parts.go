package estest

import (
	"testing"

	"onlineshop/es"
)

// Parts are what aggregates contribute to the rows of a keyed view.
type Parts[V es.View] struct {
	t     testing.TB
	model es.ReadModel[V]
	given []es.Happened
}

// PartsOf starts without parts.
func PartsOf[V es.View](t testing.TB, m es.ReadModel[V]) Parts[V] {
	return Parts[V]{t, m, nil}
}

// Given adds events of aggregates, of which each has parts of its own. The n-th event of all
// happened [At] n.
func (p Parts[V]) Given(history ...es.Happened) Parts[V] {
	p.given = append(p.given[:len(p.given):len(p.given)], history...)
	return p
}

// Then demands these parts, by key and the id of the aggregate that contributes.
func (p Parts[V]) Then(want map[string]map[string]V) {
	p.t.Helper()
	got := map[string]map[string]V{}
	byStream := map[string][]happening{}
	for _, e := range flatten(p.given) {
		byStream[e.ID] = append(byStream[e.ID], e)
	}
	for id, events := range byStream {
		for key, part := range foldItems(p.model, events) {
			if got[key] == nil {
				got[key] = map[string]V{}
			}
			got[key][id] = part
		}
	}
	if diff := difference(want, got); diff != "" {
		p.t.Fatalf("the parts differ (-want +got):\n%s", diff)
	}
}
