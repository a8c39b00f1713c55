package category_test

import (
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/estest"
	. "onlineshop/plugins/catalog/internal/category"
)

var books = Added{"Books"}

func TestAdd(t *testing.T) {
	estest.Of(t, Aggregate).When(Add{" Books "}).Then(books)
	estest.Of(t, Aggregate).Given(books).When(Add{"Books"}).ThenRejected(ErrAlreadyExists)
	estest.Of(t, Aggregate).Given(books, Archived{}).When(Add{"Books"}).ThenRejected(ErrAlreadyArchived)
	estest.Of(t, Aggregate).When(Add{" "}).ThenInvalid("/name")
	estest.Of(t, Aggregate).When(Add{strings.Repeat("x", 201)}).ThenInvalid("/name")
}

func TestRename(t *testing.T) {
	estest.Of(t, Aggregate).When(Rename{"Novels"}).ThenRejected(ErrNotFound)
	estest.Of(t, Aggregate).Given(books).When(Rename{"Novels"}).Then(Renamed{"Novels"})
	estest.Of(t, Aggregate).Given(books).When(Rename{" Books"}).ThenNothing()
	estest.Of(t, Aggregate).Given(books, Renamed{"Novels"}).When(Rename{"Books"}).Then(Renamed{"Books"})
	estest.Of(t, Aggregate).Given(books, Archived{}).When(Rename{"Books"}).ThenRejected(ErrAlreadyArchived)
	estest.Of(t, Aggregate).Given(books).When(Rename{""}).ThenInvalid("/name")
}

func TestArchive(t *testing.T) {
	estest.Of(t, Aggregate).When(Archive{}).ThenRejected(ErrNotFound)
	estest.Of(t, Aggregate).Given(books).When(Archive{}).Then(Archived{})
	estest.Of(t, Aggregate).Given(books, Archived{}).When(Archive{}).ThenNothing()
}

func TestOnlyAdminsChangeCategories(t *testing.T) {
	ann, admin := es.Caller{User: "ann"}, es.Caller{User: "root", Groups: []string{es.Admin}}
	for _, c := range []Command{Add{"Books"}, Rename{"Novels"}, Archive{}} {
		estest.Of(t, Aggregate).As(ann).When(c).ThenDenied()
	}
	estest.Of(t, Aggregate).Given(books).As(admin).When(Archive{}).Then(Archived{})
}

func TestCategories(t *testing.T) {
	estest.RowOf(t, Categories).Given(Aggregate.Happened("c1", books)).Then(Listing{Name: "Books"})
	estest.RowOf(t, Categories).Given(Aggregate.Happened("c1", books, Renamed{"Novels"}, Archived{})).
		Then(Listing{Name: "Novels", Archived: true})
}
