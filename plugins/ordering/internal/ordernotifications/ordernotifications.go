// Package ordernotifications tells customers about their orders.
package ordernotifications

import (
	"context"
	"fmt"

	"onlineshop/es"
	"onlineshop/plugins/ordering/internal/customer"
	"onlineshop/plugins/ordering/internal/order"
	"onlineshop/plugins/ordering/mail"
)

// Task hosts the side effects of orders.
func Task(emailService mail.EmailService) es.Task {
	return es.Task{Name: "OrderNotifications", SideEffects: []es.SideEffect{
		es.NewSideEffect("SendOrderConfirmation", order.Aggregate, func(ctx context.Context, r es.Reader, e es.Recorded[order.Placed]) error {
			c, err := customer.Aggregate.State(ctx, r, e.Event.CustomerID)
			if err != nil {
				return err
			}
			return emailService.SendOrderConfirmation(ctx, mail.OrderConfirmation{
				MessageID: fmt.Sprintf("order-confirmation-%s-%d", e.ID, e.Version),
				To:        c.Email, OrderID: e.ID, ProductIDs: e.Event.ProductIDs, PlacedAt: e.Time,
			})
		}),
	}}
}
