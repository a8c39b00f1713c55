package customer_test

import (
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/estest"
	. "onlineshop/plugins/ordering/internal/customer"
)

var (
	registered = Registered{"ann@example.com", "1 Main St"}

	ann   = es.Caller{User: "ann"}
	bob   = es.Caller{User: "bob"}
	admin = es.Caller{User: "root", Groups: []string{es.Admin}}
)

func TestRegister(t *testing.T) {
	register := Register{"ann@example.com", "1 Main St"}
	t.Run("makes the caller the owner", func(t *testing.T) {
		estest.Of(t, Aggregate).As(ann).When(register).Then(registered).ThenOwnedBy("ann")
	})
	t.Run("is rejected the second time", func(t *testing.T) {
		estest.Of(t, Aggregate).Given(registered).When(register).ThenRejected(ErrAlreadyRegistered)
	})
	t.Run("is rejected after deactivation", func(t *testing.T) {
		estest.Of(t, Aggregate).Given(registered, Deactivated{}).When(register).ThenRejected(ErrAlreadyDeactivated)
	})
	t.Run("trims both", func(t *testing.T) {
		estest.Of(t, Aggregate).When(Register{" ann@example.com ", "\t1 Main St\n"}).Then(registered)
	})
	t.Run("has limits", func(t *testing.T) {
		estest.Of(t, Aggregate).When(Register{"ann", " "}).ThenInvalid("/email", "/address")
		estest.Of(t, Aggregate).When(Register{"ann@example.com", strings.Repeat("ä", 1000)}).
			Then(Registered{"ann@example.com", strings.Repeat("ä", 1000)})
		estest.Of(t, Aggregate).When(Register{"ann@example.com", strings.Repeat("ä", 1001)}).ThenInvalid("/address")
	})
}

func TestEmailsArePlausible(t *testing.T) {
	for _, bad := range []string{"", "ann", "@example.com", "ann@", "ann@localhost", "a@b@example.com", "ann@.com", "ann @example.com",
		"Ann <ann@example.com>", strings.Repeat("a", 243) + "@example.com"} {
		estest.Of(t, Aggregate).Given(registered).When(UpdateEmail{bad}).ThenInvalid("/email")
	}
	for _, good := range []string{"a@b.de", "first.last+tag@mail.example.com"} {
		estest.Of(t, Aggregate).Given(registered).When(UpdateEmail{good}).Then(EmailUpdated{good})
	}
}

func TestUpdates(t *testing.T) {
	for name, c := range map[string]struct {
		change, same Command
		event        Event
	}{
		"email":   {UpdateEmail{"new@example.com"}, UpdateEmail{" ann@example.com"}, EmailUpdated{"new@example.com"}},
		"address": {UpdateAddress{"2 Side St"}, UpdateAddress{"1 Main St "}, AddressUpdated{"2 Side St"}},
	} {
		t.Run(name, func(t *testing.T) {
			estest.Of(t, Aggregate).Given(registered).When(c.change).Then(c.event)
			estest.Of(t, Aggregate).Given(registered).When(c.same).ThenNothing()
			estest.Of(t, Aggregate).Given(registered, c.event).When(c.change).ThenNothing()
			estest.Of(t, Aggregate).When(c.change).ThenRejected(ErrNotFound)
			estest.Of(t, Aggregate).Given(registered, Deactivated{}).When(c.change).ThenRejected(ErrAlreadyDeactivated)
			estest.Of(t, Aggregate).Given(registered, Deactivated{}).When(c.same).ThenRejected(ErrAlreadyDeactivated)
		})
	}
}

func TestDeactivate(t *testing.T) {
	estest.Of(t, Aggregate).When(Deactivate{}).ThenRejected(ErrNotFound)
	estest.Of(t, Aggregate).Given(registered).When(Deactivate{}).Then(Deactivated{})
	estest.Of(t, Aggregate).Given(registered, Deactivated{}).When(Deactivate{}).ThenNothing()
}

func TestErase(t *testing.T) {
	estest.Of(t, Aggregate).When(Erase{}).ThenRejected(ErrNotFound)
	estest.Of(t, Aggregate).Given(registered).When(Erase{}).Then(Erased{})
	estest.Of(t, Aggregate).Given(registered, Deactivated{}).When(Erase{}).Then(Erased{})
	erased := estest.Of(t, Aggregate).Given(registered, Erased{})
	erased.When(Erase{}).ThenNothing()
	for _, c := range []Command{Register{"ann@example.com", "1 Main St"}, UpdateEmail{"new@example.com"}, UpdateAddress{"2 Side St"}, Deactivate{}} {
		erased.When(c).ThenRejected(ErrErased)
	}
}

func TestOnlyTheOwnerAndAdminsChangeACustomer(t *testing.T) {
	for _, c := range []Command{UpdateEmail{"new@example.com"}, UpdateAddress{"2 Side St"}, Deactivate{}, Erase{}} {
		given := estest.Of(t, Aggregate).Given(registered).By("ann")
		given.As(bob).When(c).ThenDenied()
		given.As(ann).When(c).ThenOwnedBy("ann")
		given.As(admin).When(c).ThenOwnedBy("ann")
	}
}

func TestCustomers(t *testing.T) {
	estest.RowOf(t, Customers).Given(Aggregate.Happened("c1", registered)).
		Then(Account{Email: "ann@example.com", Address: "1 Main St"})
	estest.RowOf(t, Customers).
		Given(Aggregate.Happened("c1", registered, EmailUpdated{"new@example.com"}, AddressUpdated{"2 Side St"}, Deactivated{})).
		Then(Account{Email: "new@example.com", Address: "2 Side St", Deactivated: true})
	// What is personal is gone from what was before, too: see es.AggregateDefinition.Personal
	estest.RowOf(t, Customers).Given(Aggregate.Happened("c1", Registered{}, Erased{})).Then(Account{Erased: true})
}
