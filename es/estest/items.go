package estest

import (
	"maps"
	"slices"
	"testing"

	"onlineshop/es"
)

// Items are the rows below one aggregate's id, being folded.
type Items[V es.View] struct {
	t     testing.TB
	model es.ReadModel[V]
	given []es.Happened
	rows  map[string]V
}

// ItemsOf starts without rows.
func ItemsOf[V es.View](t testing.TB, m es.ReadModel[V]) Items[V] {
	return Items[V]{t: t, model: m}
}

// Given adds events of the read model's source, which are folded into the rows in that
// order. The n-th event of all happened [At] n.
func (i Items[V]) Given(history ...es.Happened) Items[V] {
	i.given = append(slices.Clip(i.given), history...)
	i.rows = foldItems(i.model, flatten(i.given))
	return i
}

// foldItems folds one aggregate's events into the rows below it.
func foldItems[V es.View](m es.ReadModel[V], events []happening) map[string]V {
	rows := map[string]V{}
	for _, e := range events {
		applyItems(rows, m.ProjectItems(e.aggregate, e.Recorded))
	}
	return rows
}

// applyItems applies changes to the rows below a stream.
func applyItems[V any](rows map[string]V, changes []es.ItemChange) {
	for _, c := range changes {
		subIDs := []string{c.SubID}
		if c.All {
			subIDs = slices.Collect(maps.Keys(rows))
		}
		for _, subID := range subIDs {
			var was any
			if v, ok := rows[subID]; ok {
				was = v
			}
			if now := c.Apply(was); now == nil {
				delete(rows, subID)
			} else {
				rows[subID] = now.(V)
			}
		}
	}
}

// Then demands these rows, by their sub-ids.
func (i Items[V]) Then(want map[string]V) {
	i.t.Helper()
	if diff := difference(want, i.rows); diff != "" {
		i.t.Fatalf("the rows differ (-want +got):\n%s", diff)
	}
}
