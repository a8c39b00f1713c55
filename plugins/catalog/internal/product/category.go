package product

import (
	"context"

	"onlineshop/es"
	"onlineshop/plugins/catalog/internal/category"
)

// A product may belong to a category, which must be active when it is chosen.
type (
	ChangeCategory struct {
		CategoryID string //es:len 1..128 //es:ref Catalog.Categories
	}
	CategoryChanged ChangeCategory
)

func (e CategoryChanged) evolve(s State) State { s.CategoryID = e.CategoryID; return s }

func (c ChangeCategory) decide(s State) ([]Event, error) {
	return s.change(c.CategoryID == s.CategoryID, CategoryChanged(c))
}

func (c ChangeCategory) check(ctx context.Context, r es.Reader) error {
	return category.MustBeActive(ctx, r, c.CategoryID)
}

func (c Add) check(ctx context.Context, r es.Reader) error {
	if c.CategoryID == "" {
		return nil
	}
	return category.MustBeActive(ctx, r, c.CategoryID)
}
