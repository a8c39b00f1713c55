package run_test

import (
	"testing"

	"onlineshop/es"
	. "onlineshop/es/csvimport/run"
	"onlineshop/es/estest"
)

var (
	aggregate = NewAggregate("Catalog.ProductImport")
	view      = NewView("ProductImports", aggregate)

	started = Started{ETag: "e1", Upload: "1", Size: 100}
	half    = Progressed{Offset: 50, Line: 3, Rows: 2, Added: 1, Rejected: 1, Rejections: []Rejection{{2, "InvalidPrice", "price"}}}
	whole   = Progressed{Offset: 100, Line: 5, Rows: 4, Added: 2, Unchanged: 1, Rejected: 1}
)

func TestStart(t *testing.T) {
	newer := Start{ETag: "e2", Upload: "2", Size: 200}
	t.Run("starts a run", func(t *testing.T) {
		estest.Of(t, aggregate).When(Start(started)).Then(started)
	})
	t.Run("ignores an older or equal upload, running or ended", func(t *testing.T) {
		for _, upload := range []string{"0", "1"} {
			for _, history := range [][]Event{{started}, {started, half}, {started, whole, Finished{}}, {started, Rejected{"empty"}}} {
				estest.Of(t, aggregate).Given(history...).When(Start{ETag: "other", Upload: upload}).ThenNothing()
			}
		}
	})
	t.Run("of a newer upload replaces a run under way", func(t *testing.T) {
		estest.Of(t, aggregate).Given(started, half).When(newer).
			Then(Rejected{"replaced by a newer upload"}, Started(newer))
	})
	t.Run("of a newer upload leaves an ended run as it ended", func(t *testing.T) {
		estest.Of(t, aggregate).Given(started, whole, Finished{}).When(newer).Then(Started(newer))
		estest.Of(t, aggregate).Given(started, Rejected{"empty"}).When(newer).Then(Started(newer))
	})
	t.Run("begins at the file's beginning", func(t *testing.T) {
		estest.Of(t, aggregate).Given(started, half, Finished{}, Started(newer)).When(Progress{"2", 0, whole}).Then(whole)
	})
	t.Run("takes an upload without a marker once", func(t *testing.T) {
		estest.Of(t, aggregate).When(Start{}).Then(Started{})
		estest.Of(t, aggregate).Given(Started{}).When(Start{}).ThenNothing()
	})
}

func TestProgress(t *testing.T) {
	estest.Of(t, aggregate).Given(started).When(Progress{"1", 0, half}).Then(half)
	estest.Of(t, aggregate).Given(started, half).When(Progress{"1", 50, whole}).Then(whole)
	t.Run("is refused to a runner that was overtaken", func(t *testing.T) {
		estest.Of(t, aggregate).Given(started, half).When(Progress{"1", 0, half}).ThenRejected(ErrMovedOn)
		estest.Of(t, aggregate).Given(started).When(Progress{"1", 50, whole}).ThenRejected(ErrMovedOn)
	})
	t.Run("is refused to a run that is not under way", func(t *testing.T) {
		estest.Of(t, aggregate).When(Progress{"1", 0, half}).ThenRejected(ErrMovedOn)
		estest.Of(t, aggregate).Given(started).When(Progress{"0", 0, half}).ThenRejected(ErrMovedOn)
		estest.Of(t, aggregate).Given(started, half, Finished{}).When(Progress{"1", 50, whole}).ThenRejected(ErrMovedOn)
	})
}

func TestEnds(t *testing.T) {
	for end, event := range map[Command]Event{Finish{"1"}: Finished{}, Reject{"1", "empty"}: Rejected{"empty"}} {
		estest.Of(t, aggregate).Given(started, whole).When(end).Then(event)
		estest.Of(t, aggregate).Given(started, whole, event).When(end).ThenNothing()
		estest.Of(t, aggregate).Given(started, Rejected{"replaced by a newer upload"}, Started{Upload: "2"}).When(end).ThenNothing()
		estest.Of(t, aggregate).When(end).ThenNothing()
	}
}

func TestTheViewSaysWhatBecameOfAFile(t *testing.T) {
	happened := func(events ...Event) es.Happened { return aggregate.Happened("in/june 1.csv", events...) }
	t.Run("running", func(t *testing.T) {
		estest.RowOf(t, view).Given(happened(started)).
			Then(Import{Status: StatusRunning, Size: 100, StartedAt: estest.At(1)})
		estest.RowOf(t, view).Given(happened(started, half)).
			Then(Import{Status: StatusRunning, Size: 100, Offset: 50, Rows: 2, Added: 1, Rejected: 1, StartedAt: estest.At(1)})
	})
	t.Run("finished, with a report where rows were rejected", func(t *testing.T) {
		estest.RowOf(t, view).Given(happened(started, half, whole, Finished{})).Then(Import{
			Status: StatusFinished, Size: 100, Offset: 100, Rows: 4, Added: 2, Unchanged: 1, Rejected: 1,
			StartedAt: estest.At(1), FinishedAt: estest.At(4), Report: "/catalog/product-imports/in%2Fjune%201.csv/report",
		})
		estest.RowOf(t, view).Given(happened(started, Progressed{Offset: 100, Line: 2, Rows: 1, Added: 1}, Finished{})).Then(Import{
			Status: StatusFinished, Size: 100, Offset: 100, Rows: 1, Added: 1, StartedAt: estest.At(1), FinishedAt: estest.At(3),
		})
	})
	t.Run("rejected as a whole", func(t *testing.T) {
		estest.RowOf(t, view).Given(happened(started, Rejected{"the file is empty"})).Then(Import{
			Status: StatusRejected, Size: 100, StartedAt: estest.At(1), FinishedAt: estest.At(2), Reason: "the file is empty",
		})
	})
	t.Run("a newer upload starts anew", func(t *testing.T) {
		estest.RowOf(t, view).
			Given(happened(started, half, Rejected{"replaced by a newer upload"}, Started{"e2", "2", 7})).
			Then(Import{Status: StatusRunning, Size: 7, StartedAt: estest.At(4)})
	})
}
