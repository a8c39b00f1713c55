package exportproducts_test

import (
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/csvimport/run"
	"onlineshop/es/estest"
	"onlineshop/plugins/catalog/internal/category"
	. "onlineshop/plugins/catalog/internal/exportproducts"
	"onlineshop/plugins/catalog/internal/product"
	"onlineshop/plugins/catalog/internal/productimport"
)

var books = category.Aggregate.Happened("books", category.Added{Name: "Books"})

// catalogue has products that a file of cells and lines, or a spreadsheet, could mistake.
var catalogue = map[string]product.Details{
	"plain":      {Name: "Mug", Description: "For tea", Price: es.MustPrice("7.5"), CategoryID: "books"},
	"no-words":   {Name: "Cup"},
	"commas":     {Name: `Pen, "blue"`, Description: "a,b,c,d,e\nf,g,h,i,j\n\n", Price: es.MustPrice("0.0001")},
	"lines":      {Name: "Bag", Description: " \r\none\rtwo\r\n\"three\"\n\ttab ", Price: es.MustPrice("999999999999.9999")},
	"umlauts":    {Name: "Grün 🍵 Ångström", Description: "…"},
	"formula":    {Name: "=1+1", Description: "- one\n- two"},
	"apostrophe": {Name: "'=1", Description: "''@x"},
	"-minus":     {Name: "'n'", Description: "sep=;"},
}

func shop(t *testing.T) *estest.Shop {
	return estest.NewShop(t, product.Aggregate, category.Aggregate, productimport.Products.Aggregate()).Given(books)
}

// export is the file that the nightly run leaves on that day.
func export(t *testing.T, s *estest.Shop) string {
	t.Helper()
	night := es.Occurrence{Schedule: "Catalog.ExportProducts.Nightly", Planned: time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)}
	if err := Task.Schedules[0].Run(t.Context(), night, s.Reads(Task.Reads...)); err != nil {
		t.Fatal(err)
	}
	text, ok := s.Object(es.Reports, "products-2026-11-26.csv")
	if !ok {
		t.Fatal("there is no file of that day")
	}
	return text
}

func importInto(t *testing.T, s *estest.Shop, text string) run.Import {
	t.Helper()
	if err := productimport.Products.Task().OnObject(t.Context(), estest.NewObject("again.csv", "1", text).Object, s); err != nil {
		t.Fatal(err)
	}
	state, err := productimport.Products.Aggregate().State(t.Context(), s, "again.csv")
	if err != nil {
		t.Fatal(err)
	}
	return run.Import{Rows: state.Done.Rows, Added: state.Done.Added, Unchanged: state.Done.Unchanged, Rejected: state.Done.Rejected}
}

func TestWhatIsExportedIsImportedToTheSameCatalogue(t *testing.T) {
	// Given a catalogue, of which one product was changed since it was added
	from := shop(t)
	for id, d := range catalogue {
		from.Given(product.Aggregate.Happened(id, product.Added(d)))
	}
	from.Given(product.Aggregate.Happened("changed", product.Added{Name: "Old"}, product.NameUpdated{Name: "New"}, product.PriceUpdated{Price: es.MustPrice("3")}))
	// When it is exported
	text := export(t, from)
	// Then the file adds the same to another shop
	to := shop(t)
	n := len(catalogue) + 1
	if got := importInto(t, to, text); got.Rows != n || got.Added != n {
		t.Errorf("of %d products: %+v; the file is\n%s", n, got, text)
	}
	for id, d := range catalogue {
		to.ThenHappened(product.Aggregate.Happened(id, product.Added(d)))
	}
	to.ThenHappened(product.Aggregate.Happened("changed", product.Added{Name: "New", Price: es.MustPrice("3")}))
	// And changes nothing in this one
	if got := importInto(t, from, text); got.Rows != n || got.Unchanged != n {
		t.Errorf("of %d products: %+v", n, got)
	}
}

func TestAnEmptyCatalogueIsAFileWithAHeader(t *testing.T) {
	if got, want := export(t, shop(t)), "\"name\",\"description\",\"price\",\"id\",\"categoryId\"\n"; got != want {
		t.Errorf("the file is %q, want %q", got, want)
	}
}
