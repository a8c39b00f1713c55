package ordernotifications_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onlineshop/es"
	"onlineshop/es/estest"
	"onlineshop/plugins/ordering/internal/customer"
	"onlineshop/plugins/ordering/internal/order"
	. "onlineshop/plugins/ordering/internal/ordernotifications"
	"onlineshop/plugins/ordering/mail"
)

var (
	placed     = order.Placed{CustomerID: "c1", ProductIDs: []string{"p1", "p2"}}
	registered = customer.Aggregate.Happened("c1", customer.Registered{Email: "ann@example.com", Address: "1 Main St"})
)

func TestPlacedIsConfirmedToTheCustomersAddress(t *testing.T) {
	var sent outbox
	estest.SideEffect(t, sideEffect(&sent)).With(registered).Given("o1", placed).ThenDone()
	sent.then(t, mail.OrderConfirmation{
		MessageID: "order-confirmation-o1-1", To: "ann@example.com",
		OrderID: "o1", ProductIDs: []string{"p1", "p2"}, PlacedAt: estest.At(1),
	})
}

func TestTheAddressIsThePresentOne(t *testing.T) {
	var sent outbox
	estest.SideEffect(t, sideEffect(&sent)).
		With(registered, customer.Aggregate.Happened("c1", customer.EmailUpdated{Email: "new@example.com"})).
		Given("o1", placed).ThenDone()
	if len(sent.list) != 1 || sent.list[0].To != "new@example.com" {
		t.Errorf("sent %+v, want one to new@example.com", sent.list)
	}
}

func TestOtherEventsSendNothing(t *testing.T) {
	var sent outbox
	for _, e := range []order.Event{order.Shipped{}, order.Cancelled{ProductIDs: placed.ProductIDs}} {
		estest.SideEffect(t, sideEffect(&sent)).With(registered).Given("o1", e).ThenDone()
	}
	sent.then(t)
}

func TestAFailureIsReported(t *testing.T) {
	down := errors.New("the mail server is down")
	estest.SideEffect(t, sideEffect(&outbox{err: down})).With(registered).Given("o1", placed).ThenFails(down)
}

func sideEffect(s mail.EmailService) es.SideEffect { return Task(s).SideEffects[0] }

type outbox struct {
	list []mail.OrderConfirmation
	err  error
}

func (o *outbox) SendOrderConfirmation(_ context.Context, c mail.OrderConfirmation) error {
	o.list = append(o.list, c)
	return o.err
}

func (o *outbox) then(t *testing.T, want ...mail.OrderConfirmation) {
	t.Helper()
	if diff := cmp.Diff(want, o.list); diff != "" {
		t.Errorf("what was sent differs (-want +got):\n%s", diff)
	}
}
