package product_test

import (
	"os"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/estest"
	"onlineshop/plugins/catalog/internal/category"
	. "onlineshop/plugins/catalog/internal/product"
	"onlineshop/plugins/catalog/products"
)

var (
	price  = es.MustPrice("9.99")
	book   = Added{Name: "Book", Description: "A novel", Price: price}
	inBook = Added{Name: "Book", Price: price, CategoryID: "books"}

	books    = category.Aggregate.Happened("books", category.Added{Name: "Books"})
	archived = category.Aggregate.Happened("books", category.Added{Name: "Books"}, category.Archived{})
)

func TestAdd(t *testing.T) {
	add := Add{Name: "Book", Description: "A novel", Price: price}
	t.Run("makes a product", func(t *testing.T) {
		estest.Of(t, Aggregate).When(add).Then(book)
	})
	t.Run("is rejected where the product exists", func(t *testing.T) {
		estest.Of(t, Aggregate).Given(book).When(add).ThenRejected(ErrAlreadyExists)
	})
	t.Run("keeps the category", func(t *testing.T) {
		estest.Of(t, Aggregate).With(books).When(Add(inBook)).Then(inBook)
	})
	t.Run("needs a category that exists", func(t *testing.T) {
		estest.Of(t, Aggregate).When(Add(inBook)).ThenRejected(category.ErrNotFound)
	})
	t.Run("needs a category that is active", func(t *testing.T) {
		estest.Of(t, Aggregate).With(archived).When(Add(inBook)).ThenRejected(category.ErrAlreadyArchived)
	})
	t.Run("asks its own state before the category", func(t *testing.T) {
		estest.Of(t, Aggregate).Given(book).When(Add(inBook)).ThenRejected(ErrAlreadyExists)
	})
	t.Run("trims the name and keeps the description as given", func(t *testing.T) {
		estest.Of(t, Aggregate).When(Add{Name: " Book\t", Description: " A novel ", Price: price}).
			Then(Added{Name: "Book", Description: " A novel ", Price: price})
	})
	t.Run("may have no description and be free", func(t *testing.T) {
		estest.Of(t, Aggregate).When(Add{Name: "Book"}).Then(Added{Name: "Book"})
	})
	t.Run("has limits in characters", func(t *testing.T) {
		long := Add{Name: strings.Repeat("ä", 200), Description: strings.Repeat("ä", 10_000)}
		estest.Of(t, Aggregate).When(long).Then(Added(long))
		estest.Of(t, Aggregate).When(Add{Name: long.Name + "ä", Description: long.Description + "ä"}).ThenInvalid("/name", "/description")
		estest.Of(t, Aggregate).When(Add{Name: " "}).ThenInvalid("/name")
	})
}

func TestUpdates(t *testing.T) {
	other := es.MustPrice("12.5")
	for name, c := range map[string]struct {
		change, same Command
		event        Event
	}{
		"name":        {UpdateName{"Tome"}, UpdateName{"Book"}, NameUpdated{"Tome"}},
		"description": {UpdateDescription{"Long"}, UpdateDescription{"A novel"}, DescriptionUpdated{"Long"}},
		"price":       {UpdatePrice{other}, UpdatePrice{price}, PriceUpdated{other}},
		"category":    {ChangeCategory{"books"}, ChangeCategory{""}, CategoryChanged{"books"}},
	} {
		t.Run(name, func(t *testing.T) {
			given := estest.Of(t, Aggregate).With(books).Given(book)
			given.When(c.change).Then(c.event)
			given.Given(c.event).When(c.change).ThenNothing()
			if name != "category" { // a product is not taken out of its category
				given.When(c.same).ThenNothing()
			}
			estest.Of(t, Aggregate).With(books).When(c.change).ThenRejected(ErrNotFound)
		})
	}
}

func TestUpdatesHaveTheLimitsOfAdd(t *testing.T) {
	given := estest.Of(t, Aggregate).Given(book)
	given.When(UpdateName{" Tome "}).Then(NameUpdated{"Tome"})
	given.When(UpdateName{" Book "}).ThenNothing()
	given.When(UpdateName{strings.Repeat("x", 201)}).ThenInvalid("/name")
	given.When(UpdateDescription{strings.Repeat("x", 10_001)}).ThenInvalid("/description")
	given.When(ChangeCategory{}).ThenInvalid("/categoryId")
}

func TestChangeCategoryNeedsAnActiveCategory(t *testing.T) {
	given := estest.Of(t, Aggregate).Given(book)
	given.When(ChangeCategory{"books"}).ThenRejected(category.ErrNotFound)
	given.With(archived).When(ChangeCategory{"books"}).ThenRejected(category.ErrAlreadyArchived)
	given.With(archived).Given(CategoryChanged{"books"}).When(ChangeCategory{"books"}).ThenNothing()
}

func TestOnlyAdminsChangeProducts(t *testing.T) {
	ann, admin := es.Caller{User: "ann"}, es.Caller{User: "root", Groups: []string{es.Admin}}
	for _, c := range []Command{Add{Name: "Book"}, UpdateName{"Tome"}, UpdateDescription{"Long"}, UpdatePrice{price}, ChangeCategory{"books"}} {
		estest.Of(t, Aggregate).As(ann).When(c).ThenDenied()
		estest.Of(t, Aggregate).By("ann").Given(book).As(ann).When(c).ThenDenied()
	}
	estest.Of(t, Aggregate).As(admin).When(Add{Name: "Book"}).Then(Added{Name: "Book"})
}

func TestProducts(t *testing.T) {
	estest.RowOf(t, Products).Given(Aggregate.Happened("p1", book)).
		Then(Listing{Name: "Book", Description: "A novel", Price: price})
	estest.RowOf(t, Products).
		Given(Aggregate.Happened("p1", book, NameUpdated{"Tome"}, DescriptionUpdated{"Long"}, PriceUpdated{es.MustPrice("1")}, CategoryChanged{"books"})).
		Then(Listing{Name: "Tome", Description: "Long", Price: es.MustPrice("1"), CategoryID: "books"})
	estest.RowOf(t, Products).Given(Aggregate.Happened("p1", NameUpdated{"Tome"})).ThenAbsent()
}

func TestCategoryStats(t *testing.T) {
	one := Stats{Products: 1}
	estest.PartsOf(t, CategoryStats).
		Given(Aggregate.Happened("p1", inBook, CategoryChanged{"pens"}), Aggregate.Happened("p2", book), Aggregate.Happened("p3", inBook), Aggregate.Happened("p4", book, CategoryChanged{"pens"})).
		Then(map[string]map[string]Stats{"pens": {"p1": one, "p4": one}, "books": {"p3": one}})
}

func TestExtensionPoint(t *testing.T) {
	estest.Publication(t, Publication).Given("p1", book).
		ThenPublishes(products.ProductBecameAvailable{ProductID: "p1", Name: "Book", Price: price})
	estest.Publication(t, Publication).Given("p1", PriceUpdated{price}).
		ThenPublishes(products.ProductPriceChanged{ProductID: "p1", Price: price})
	for _, e := range []Event{NameUpdated{"Tome"}, DescriptionUpdated{"Long"}, CategoryChanged{"books"}} {
		estest.Publication(t, Publication).Given("p1", e).ThenNothing()
	}
}

// An aggregate must stay about as short as its specification: product.go and
// behavior.go are the specification's scope (categories are a file of their
// own), for which ReScript needs 48 lines.
func TestProductIsShort(t *testing.T) {
	const most = 75
	lines := 0
	for _, name := range []string{"product.go", "behavior.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(source)) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
	}
	if lines > most {
		t.Errorf("product.go and behavior.go have %d lines that are not blank, want at most %d", lines, most)
	}
}
