// Package notices tells readers about new books.
package notices

import (
	"context"
	"time"

	"onlineshop/es"
	"onlineshop/es/esgen/internal/library/internal/book"
)

// Board is where notices are put up.
type Board interface {
	PutUp(ctx context.Context, title string) error
}

// NewBooks hosts the side effect; books live for bookLifetime.
func NewBooks(board Board, bookLifetime time.Duration, noticeURL func(id string) string) es.Task {
	return es.Task{Name: "NewBooks", SideEffects: []es.SideEffect{
		es.NewSideEffect("PutUpNotice", book.Aggregate, func(ctx context.Context, _ es.Reader, e es.Recorded[book.Registered]) error {
			return board.PutUp(ctx, e.Event.Title+" "+noticeURL(e.ID)+" "+bookLifetime.String())
		}),
	}}
}

// Inventory takes lists of books, and leaves them.
var Inventory = es.Task{Name: "Inventory", Bucket: "inventories"}
