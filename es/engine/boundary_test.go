package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/memory"
	"onlineshop/platform/platformtest"
)

const announce = "effect:Press.Announce"

// announced are how often the press announced each loan of a book to those readers.
func (l *library) announced(book string, to ...string) (times []int) {
	for _, reader := range to {
		about := "announcement of " + book + " for " + reader
		times = append(times, l.Congratulations(about)[about+" at 0"])
	}
	return times
}

func TestWhatAnotherPluginPublishesSetsOffASideEffectOnce(t *testing.T) {
	// Given a loan that the press has announced
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.settle()
	// When the book is lent again, and the library swept
	l.lend("dune", "bob")
	l.settle()
	l.sweep()
	// Then each loan was announced once
	if got := l.announced("dune", "ann", "bob"); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("announced %v times", got)
	}
	// And the trace tells of it
	trace, err := l.Engine().Trace(t.Context(), es.Caller{Groups: []string{es.Admin}}, engine.Stream{Aggregate: "Lending.Book", ID: "dune"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if b := branch(t, trace, announce, 0); b.State != engine.BranchDone || b.Trace != nil {
		t.Errorf("the trace says %+v", b)
	}
}

func TestALostPublicationIsMadeUpForWithinADay(t *testing.T) {
	// Given loans of yesterday and of today whose hints were lost
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.Advance(25 * time.Hour)
	l.lend("dune", "bob")
	l.Drop()
	// When the library is swept
	l.sweep()
	// Then only the loan of today is announced
	if got := l.announced("dune", "ann", "bob"); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("announced %v times", got)
	}
}

func TestANewSideEffectAtTheBoundaryLeavesThePastAlone(t *testing.T) {
	// Given a loan, before there was a press
	l := &library{T: t, World: platformtest.NewWorld()}
	plugins := platformtest.Library{World: l.World}.Plugins()
	lending := plugins[:1]
	var err error
	if l.Platform, err = memory.New(lending, nil); err != nil {
		t.Fatal(err)
	}
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.settle()
	// When the press comes, all is swept, and the book is lent again
	if err := l.Deploy(plugins, nil); err != nil {
		t.Fatal(err)
	}
	l.sweep()
	l.lend("dune", "bob")
	l.settle()
	// Then the new loan alone is announced, and the extension has both
	if got := l.announced("dune", "ann", "bob"); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("announced %v times", got)
	}
	l.thenEvents("Press.Article", "dune", "Mentioned ann", "Mentioned bob")
}

func TestSideEffectsAtTheBoundaryHaveALaneOfTheirOwn(t *testing.T) {
	// Given a loan
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.Drop()
	commits, _, err := l.Store.Read(t.Context(), engine.Stream{Aggregate: "Lending.Book", ID: "dune"}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	// When its commands are relayed, then nothing is announced
	if err := l.Engine().RelayCommands(t.Context(), commits[1]); err != nil {
		t.Fatal(err)
	}
	l.settle()
	l.thenEvents("Press.Article", "dune", "Mentioned ann")
	if got := l.announced("dune", "ann"); got[0] != 0 {
		t.Errorf("announced %v times with the commands", got)
	}
	// When its side effects are, then it is, and nothing else happens
	if err := l.Engine().RelayEffects(t.Context(), commits[1]); err != nil {
		t.Fatal(err)
	}
	l.settle()
	if got := l.announced("dune", "ann"); got[0] != 1 {
		t.Errorf("announced %v times", got)
	}
	l.thenEvents("Press.Article", "dune", "Mentioned ann")
	if !l.Engine().Sources(engine.KindSideEffect)["Lending.Rating"] {
		t.Error("ratings, which are published, set off no side effect")
	}
}

func TestAFailureAtTheBoundaryIsCountedAndNotRepeated(t *testing.T) {
	// Given a press that can't print
	runs, counted := 0, map[string]int{}
	plugins := platformtest.Library{World: platformtest.NewWorld()}.Plugins()
	effect := &plugins[1].Tasks[0].SideEffects[0]
	effect.Run = func(context.Context, es.Reader, es.Recorded[any]) error {
		runs++
		return errors.New("out of paper")
	}
	p, err := memory.New(plugins, func(c *engine.Config) {
		c.Count = func(metric, consumer string) { counted[metric+" of "+consumer]++ }
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &library{T: t, Platform: p}
	// When a book is lent, and the library swept
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.settle()
	l.sweep()
	// Then it was tried once, and is counted
	if runs != 1 || counted["SideEffectFailed of "+announce] != 1 || len(l.parked()) > 0 {
		t.Errorf("%d runs, counted %v, parked %v", runs, counted, l.parked())
	}
}
