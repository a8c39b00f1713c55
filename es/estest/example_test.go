package estest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/estest"
)

// t is a test's *testing.T.
var t = new(testing.T)

func Example() {
	// An aggregate: what has happened, a command, what happens.
	estest.Of(t, Account).Given(Opened{"ann"}, Deposited{10}).When(Deposit{5}).Then(Deposited{5})
	estest.Of(t, Account).Given(Opened{"ann"}).When(Open{"ann"}).ThenNothing()
	estest.Of(t, Account).When(Deposit{5}).ThenRejected(ErrNotOpen)

	// A read model: what has happened, the row.
	estest.RowOf(t, Balances).
		Given(Account.Happened("a1", Opened{"ann"}, Deposited{10})).
		Then(Balance{Holder: "ann", Amount: 10})

	// An event mapping: an event, the commands it sends.
	estest.Mapping(t, Bonus).Given("a1", Deposited{10}).ThenSends(Account.Command("a1", Deposit{1}))

	fmt.Println("failed:", t.Failed())
	// Output: failed: false
}

// A mapping that waits says until when.
func ExampleSends_ThenDueAfter() {
	bonus := Account.Command("a1", Deposit{1})
	estest.Mapping(t, Bonus).Given("a1", Deposited{10}).ThenSends(bonus).ThenDueAt(time.Time{}) // at once
	estest.Mapping(t, Bonus.After(10*24*time.Hour)).Given("a1", Deposited{10}).ThenSends(bonus).ThenDueAfter(10 * 24 * time.Hour)

	newYear := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	atNewYear := Bonus.Due(es.At(func(es.Recorded[Deposited]) time.Time { return newYear }))
	estest.Mapping(t, atNewYear).Given("a1", Deposited{10}).ThenSends(bonus).ThenDueAt(newYear)

	fmt.Println("failed:", t.Failed())
	// Output: failed: false
}

// Rules that read other aggregates find what has happened to those.
func ExampleScenario_With() {
	given := estest.Of(t, Account).Given(Opened{"ann"}, Deposited{10})
	given.With(Account.Happened("bank", Opened{"bank"})).When(Withdraw{4}).Then(Withdrawn{4})
	given.When(Withdraw{4}).ThenRejected(ErrClosed)

	fmt.Println("failed:", t.Failed())
	// Output: failed: false
}

// Who may send a command, and whom the aggregate belongs to.
func ExampleScenario_As() {
	ann, bob := es.Caller{User: "ann"}, es.Caller{User: "bob"}
	estest.Of(t, Account).As(bob).When(Open{"ann"}).ThenOwnedBy("ann")
	estest.Of(t, Account).Given(Opened{"ann"}).By("ann").As(ann).When(Deposit{5}).Then(Deposited{5})
	estest.Of(t, Account).Given(Opened{"ann"}).By("ann").As(bob).When(Deposit{5}).ThenDenied()

	fmt.Println("failed:", t.Failed())
	// Output: failed: false
}

// A task runs against a shop in memory, which decides with the real rules.
func ExampleShop() {
	shop := estest.NewShop(t).Given(Account.Happened("a1", Opened{"ann"}))
	file := estest.NewObject("june.txt", "1", "a1 10\na1 20\n")
	fmt.Println(Ledger.OnObject(context.Background(), file.Object, shop))
	fmt.Println(Ledger.OnObject(context.Background(), file.Object, shop)) // a second call pays nothing twice
	shop.ThenHappened(Account.Happened("a1", Opened{"ann"}, Deposited{10}, Deposited{20}))
	estest.RowOf(t, Balances).From(shop, "a1").Then(Balance{Holder: "ann", Amount: 30})

	fmt.Println("failed:", t.Failed())
	// Output:
	// <nil>
	// <nil>
	// failed: false
}

// A task that reads a view finds there what has happened, if it says that it reads it.
func ExampleShop_Reads() {
	task := es.Task{Name: "Report", Reads: []es.Readable{savings}, Schedules: []es.Schedule{{
		Name: "Nightly", Cron: "0 3 * * *",
		Run: func(ctx context.Context, _ es.Occurrence, s es.Shop) error {
			for account, err := range savings.List(ctx, s, es.Query{Sort: "-amount", AtLeast: 10, Limit: 2}) {
				if err != nil {
					return err
				}
				fmt.Println(account.ID, account.Row.Amount)
			}
			return nil
		},
	}}}
	shop := estest.NewShop(t).Reads(task.Reads...).Given(
		Account.Happened("a1", Opened{"ann"}, Deposited{20}),
		Account.Happened("a2", Opened{"bob"}, Deposited{5}),
		Account.Happened("a3", Opened{"eve"}, Deposited{30}),
	)
	fmt.Println(task.Schedules[0].Run(context.Background(), es.Occurrence{}, shop))
	// Output:
	// a3 30
	// a1 20
	// <nil>
}
