package library_test

import (
	"context"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/esgen/internal/library"
	"onlineshop/es/esgen/internal/library/internal/book"
	"onlineshop/es/esgen/internal/library/internal/notices"
	"onlineshop/es/esgen/internal/library/lending"
)

// board keeps the notices put up on it.
type board []string

func (b *board) PutUp(_ context.Context, title string) error {
	*b = append(*b, title)
	return nil
}

// deps implements [library.Deps].
type deps struct{ notices *board }

func (d deps) Board() notices.Board      { return d.notices }
func (deps) BookLifetime() time.Duration { return time.Minute }
func (deps) NoticeURL() func(id string) string {
	return func(id string) string { return "/notices/" + id }
}

func TestThePluginIsEverythingBelowItsFolder(t *testing.T) {
	var up board
	p := library.Plugin(deps{&up})
	if p.Name != "Library" || p.HeartbeatInterval != 90*time.Second {
		t.Errorf("the plugin is %q, every %s", p.Name, p.HeartbeatInterval)
	}
	if len(p.Aggregates) != 1 || len(p.ReadModels) != 2 || len(p.Mappings) != 1 || len(p.Publications) != 2 || len(p.Extensions) != 2 || len(p.Tasks) != 2 {
		t.Fatalf("it has %d aggregates, %d read models, %d mappings, %d publications, %d extensions and %d tasks",
			len(p.Aggregates), len(p.ReadModels), len(p.Mappings), len(p.Publications), len(p.Extensions), len(p.Tasks))
	}
	if got := p.Mappings[0].Delay; got != time.Minute {
		t.Errorf("the mapping waits %s, want its dependency's %s", got, time.Minute)
	}
	err := p.Tasks[1].SideEffects[0].Run(context.Background(), nil, es.Recorded[any]{ID: "b1", Event: book.Registered{Title: "Dune"}})
	if err != nil || len(up) != 1 || up[0] != "Dune /notices/b1 1m0s" {
		t.Errorf("the task puts up %q (%v)", up, err)
	}
}

func TestRequestsTravelInTheNameOfWhoAsks(t *testing.T) {
	p := library.Plugin(deps{&board{}})
	if ask := p.Publications[1]; !ask.Asks || ask.Point.Name != "Library.Library.Lending" {
		t.Errorf("it asks: %t, as %s", ask.Asks, ask.Point.Name)
	}
	if x := p.Extensions[1]; !x.Accepts || x.Point.Name != lending.Requests.Name() {
		t.Errorf("it accepts: %t, what is asked of %s", x.Accepts, x.Point.Name)
	}
	d := p.Extensions[1].Point
	want := lending.ReserveBook{BookID: "b1", Reader: "ann"}
	typ, version, data, err := d.Encode(want)
	if err != nil || typ != "ReserveBook" || string(data) != `{"bookId":"b1","reader":"ann"}` || d.Key(want) != "b1" {
		t.Errorf("%v travels as %s %s (%v)", want, typ, data, err)
	}
	if old, err := d.Decode(typ, 1, []byte(`{"isbn":"b1","reader":"ann"}`)); err != nil || len(old) != 1 || old[0] != (lending.ReserveBook{BookID: "b1", Reader: "ann"}) {
		t.Errorf("what was asked in version 1 is read as %v (%v)", old, err)
	}
	if back, err := d.Decode(typ, version, data); err != nil || len(back) != 1 || back[0] != want {
		t.Errorf("it is read back as %v (%v)", back, err)
	}
}

func TestTheExtensionPointSpeaksItsContract(t *testing.T) {
	d := lending.ExtensionPoint.Definition()
	if d.Name != "Library.Lending" {
		t.Errorf("it is called %s", d.Name)
	}
	e := lending.BookRegistered{BookID: "b1", Title: "Dune"}
	if got := d.Key(e); got != "b1" {
		t.Errorf("%v is routed by %s", e, got)
	}
	typ, version, data, err := d.Encode(e)
	if err != nil || typ != "BookRegistered" || version != 1 || string(data) != `{"bookId":"b1","title":"Dune"}` {
		t.Errorf("%v is published as %s %d %s (%v)", e, typ, version, data, err)
	}
	if back, err := d.Decode(typ, version, data); err != nil || len(back) != 1 || back[0] != e {
		t.Errorf("it is read back as %v (%v)", back, err)
	}
	if old, err := d.Decode("BookRetired", 1, []byte(`{"isbn":"b1"}`)); err != nil || len(old) != 1 || old[0] != (lending.BookRetired{BookID: "b1"}) {
		t.Errorf("an earlier version is read as %v (%v)", old, err)
	}
}
