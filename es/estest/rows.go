package estest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"onlineshop/es"
)

// Row is one row of a read model, being folded.
type Row[V es.View] struct {
	t     testing.TB
	model es.ReadModel[V]
	given []es.Happened
	row   *V
}

// RowOf starts with a row that is absent.
func RowOf[V es.View](t testing.TB, m es.ReadModel[V]) Row[V] {
	return Row[V]{t: t, model: m}
}

// Given adds events of the read model's sources, which are folded into the row
// in that order. The n-th event of all happened [At] n.
func (r Row[V]) Given(history ...es.Happened) Row[V] {
	r.given, r.row = append(slices.Clip(r.given), history...), nil
	for _, e := range flatten(r.given) {
		r.row = r.model.Project(e.aggregate, e.Recorded, r.row)
	}
	return r
}

// From folds what has happened in a shop to aggregates of that id, source by
// source.
func (r Row[V]) From(s *Shop, id string) Row[V] {
	r.row = nil
	for _, aggregate := range r.model.Definition().Sources {
		for _, e := range s.History(aggregate, id) {
			r.row = r.model.Project(aggregate, e, r.row)
		}
	}
	return r
}

// Then demands that the row is there and looks like this.
func (r Row[V]) Then(want V) {
	r.t.Helper()
	if r.row == nil {
		r.t.Fatalf("there is no row, want %+v", want)
	}
	if diff := difference(want, *r.row); diff != "" {
		r.t.Fatalf("the row differs (-want +got):\n%s", diff)
	}
}

// ThenAbsent demands that there is no row.
func (r Row[V]) ThenAbsent() {
	r.t.Helper()
	if r.row != nil {
		r.t.Fatalf("there is a row: %+v", *r.row)
	}
}

type happening struct {
	aggregate string
	es.Recorded[any]
}

// flatten gives each event its envelope.
func flatten(history []es.Happened) (out []happening) {
	versions := map[stream]int64{}
	for _, h := range history {
		for _, e := range h.Events {
			versions[stream{h.Aggregate, h.ID}]++
			out = append(out, happening{h.Aggregate, es.Recorded[any]{
				ID: h.ID, Event: e, Version: versions[stream{h.Aggregate, h.ID}], Time: At(len(out) + 1), Meta: es.Meta{Owner: h.Owner, Time: At(len(out) + 1)},
			}})
		}
	}
	return out
}

// maxInterleavings is how many orders [Commutes] tries.
const maxInterleavings = 10_000

// Commutes demands that the events of one row's sources make the same row in
// whatever order they arrive, each source's own order kept: all orders where
// there are at most 10,000, else as many at random (the same ones each time).
// As in a shop, an absent row is folded from all that has happened, source by
// source.
func Commutes[V es.View](t testing.TB, m es.ReadModel[V], history ...es.Happened) {
	t.Helper()
	var streams [][]happening
	for _, aggregate := range m.Definition().Sources {
		own := slices.DeleteFunc(slices.Clone(flatten(history)), func(h happening) bool { return h.aggregate != aggregate })
		streams = append(streams, own)
	}
	i := interleaving[V]{model: m, streams: streams, at: make([]int, len(streams))}
	want := i.canonical(func(s int) int { return len(streams[s]) })
	i.done = func(order []happening, got *V) bool {
		t.Helper()
		if diff := difference(want, got); diff != "" {
			var names []string
			for _, h := range order {
				names = append(names, fmt.Sprintf("%s %T", h.aggregate, h.Event))
			}
			t.Errorf("in the order\n\t%s\nthe row differs from the one folded source by source (-want +got):\n%s", strings.Join(names, "\n\t"), diff)
			return false
		}
		return true
	}
	if orders(streams) <= maxInterleavings {
		i.all(nil, nil)
		return
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range maxInterleavings {
		if !i.one(random) {
			return
		}
	}
}

// interleaving walks through orders of several streams' events.
type interleaving[V es.View] struct {
	model   es.ReadModel[V]
	streams [][]happening
	at      []int // how many of each stream have happened
	done    func(order []happening, row *V) bool
}

// canonical folds the first upTo(stream) events, stream by stream.
func (i *interleaving[V]) canonical(upTo func(stream int) int) (row *V) {
	for s := range i.streams {
		for _, h := range i.streams[s][:upTo(s)] {
			row = i.model.Project(h.aggregate, h.Recorded, row)
		}
	}
	return row
}

// step lets the stream's next event happen.
func (i *interleaving[V]) step(s int, order []happening, row *V) ([]happening, *V) {
	h := i.streams[s][i.at[s]]
	i.at[s]++
	if row != nil {
		row = i.model.Project(h.aggregate, h.Recorded, row)
	}
	if row == nil {
		row = i.canonical(func(s int) int { return i.at[s] })
	}
	return append(order, h), row
}

// all tries every order; false: one was wrong.
func (i *interleaving[V]) all(order []happening, row *V) bool {
	last := true
	for s := range i.streams {
		if i.at[s] == len(i.streams[s]) {
			continue
		}
		last = false
		o, r := i.step(s, order[:len(order):len(order)], row)
		ok := i.all(o, r)
		i.at[s]--
		if !ok {
			return false
		}
	}
	return !last || i.done(order, row)
}

// one tries an order at random.
func (i *interleaving[V]) one(random *rand.Rand) bool {
	clear(i.at)
	var left []int
	for s := range i.streams {
		left = append(left, slices.Repeat([]int{s}, len(i.streams[s]))...)
	}
	random.Shuffle(len(left), func(a, b int) { left[a], left[b] = left[b], left[a] })
	var order []happening
	var row *V
	for _, s := range left {
		order, row = i.step(s, order, row)
	}
	return i.done(order, row)
}

// orders is how many interleavings there are, up to a little more than
// maxInterleavings.
func orders(streams [][]happening) int {
	total, n := 1, 0
	for _, s := range streams {
		for k := 1; k <= len(s); k++ {
			n++
			if total = total * n / k; total > maxInterleavings {
				return total
			}
		}
	}
	return total
}
