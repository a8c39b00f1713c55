package estest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/estest"
)

// recorder is a test that notes its failure.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper()                           {}
func (r *recorder) Errorf(format string, args ...any) { r.failure += fmt.Sprintf(format, args...) }
func (r *recorder) Fatal(args ...any)                 { r.failure += fmt.Sprint(args...); runtime.Goexit() }
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failure is what a scenario says is wrong; empty where it passes.
func failure(scenario func(t testing.TB)) string {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		scenario(r)
	}()
	<-done
	return r.failure
}

// Scenarios must fail where the code under test is wrong: each of these says so.
func TestScenariosFail(t *testing.T) {
	bank := Account.Happened("bank", Opened{"bank"})
	opened := func(t testing.TB) estest.Scenario[Command, Event, State] {
		return estest.Of(t, Account).Given(Opened{"ann"}).By("ann")
	}
	sideEffect := func(err error) es.SideEffect {
		return es.NewSideEffect("Print", Account, func(context.Context, es.Reader, es.Recorded[Opened]) error { return err })
	}
	jammed := errors.New("the paper is jammed")
	for name, c := range map[string]struct {
		scenario func(t testing.TB)
		want     string // part of what is said
	}{
		"another event":        {func(t testing.TB) { opened(t).When(Deposit{5}).Then(Deposited{6}) }, "the events differ"},
		"one event too many":   {func(t testing.TB) { opened(t).When(Deposit{5}).ThenNothing() }, "the events differ"},
		"no event":             {func(t testing.TB) { opened(t).When(Open{"ann"}).Then(Opened{"ann"}) }, "the events differ"},
		"rejected":             {func(t testing.TB) { opened(t).When(Withdraw{5}).Then(Withdrawn{5}) }, "rejected: AccountOverdrawn"},
		"not rejected":         {func(t testing.TB) { opened(t).When(Deposit{5}).ThenRejected(ErrNotOpen) }, "accepted with"},
		"another rejection":    {func(t testing.TB) { opened(t).When(Withdraw{5}).ThenRejected(ErrNotOpen) }, "got AccountOverdrawn"},
		"other members":        {func(t testing.TB) { opened(t).When(Withdraw{5}).ThenRejected(ErrOverdrawn.With("balance", 7)) }, "members differ"},
		"checked in vain":      {func(t testing.TB) { opened(t).Given(Deposited{9}).When(Withdraw{5}).Then(Withdrawn{5}) }, "rejected: BankClosed"},
		"invalid":              {func(t testing.TB) { estest.Of(t, Account).When(Open{" "}).Then(Opened{}) }, "rejected: /holder"},
		"not invalid":          {func(t testing.TB) { estest.Of(t, Account).When(Open{"ann"}).ThenInvalid("/holder") }, "want problems"},
		"other problems":       {func(t testing.TB) { estest.Of(t, Account).When(Open{" "}).ThenInvalid("/name") }, "pointers differ"},
		"denied":               {func(t testing.TB) { opened(t).As(es.Caller{User: "bob"}).When(Deposit{5}).Then(Deposited{5}) }, "may not send"},
		"denied, not rejected": {func(t testing.TB) { opened(t).As(es.Caller{User: "bob"}).When(Deposit{5}).ThenRejected(ErrNotOpen) }, "may not send"},
		"not denied":           {func(t testing.TB) { opened(t).As(es.Caller{User: "ann"}).When(Deposit{5}).ThenDenied() }, "want it to be denied"},
		"another owner":        {func(t testing.TB) { estest.Of(t, Account).When(Open{"ann"}).ThenOwnedBy("bob") }, `belongs to "ann"`},
		"no row":               {func(t testing.TB) { estest.RowOf(t, Balances).Then(Balance{}) }, "there is no row"},
		"a row":                {func(t testing.TB) { estest.RowOf(t, Balances).Given(bank).ThenAbsent() }, "there is a row"},
		"another row":          {func(t testing.TB) { estest.RowOf(t, Balances).Given(bank).Then(Balance{}) }, "the row differs"},
		"another command": {func(t testing.TB) {
			estest.Mapping(t, Bonus).Given("a1", Deposited{5}).ThenSends(Account.Command("a2", Deposit{1}))
		}, "the commands differ"},
		"a command": {func(t testing.TB) { estest.Mapping(t, Bonus).Given("a1", Deposited{5}).ThenNothing() }, "the commands differ"},
		"no command": {func(t testing.TB) {
			estest.Mapping(t, Bonus).Given("a1", Opened{}).ThenSends(Account.Command("a1", Deposit{1}))
		}, "the commands differ"},
		"due later": {func(t testing.TB) {
			estest.Mapping(t, Bonus.After(time.Hour)).Given("a1", Deposited{5}).ThenDueAt(time.Time{})
		}, "due at 2"},
		"due at once":           {func(t testing.TB) { estest.Mapping(t, Bonus).Given("a1", Deposited{5}).ThenDueAfter(time.Hour) }, "due 0s after the event, want 1h0m0s"},
		"never due":             {func(t testing.TB) { estest.Mapping(t, Bonus).Given("a1", Opened{}).ThenDueAfter(0) }, "nothing is due"},
		"side effect failed":    {func(t testing.TB) { estest.SideEffect(t, sideEffect(jammed)).Given("a1", Opened{}).ThenDone() }, "jammed"},
		"side effect went well": {func(t testing.TB) { estest.SideEffect(t, sideEffect(nil)).Given("a1", Opened{}).ThenFails(jammed) }, "want the paper is jammed"},
		"side effect passed over": {func(t testing.TB) {
			estest.SideEffect(t, sideEffect(jammed)).Given("a1", Deposited{}).ThenFails(jammed)
		}, "ended with <nil>"},
		"another history": {func(t testing.TB) { estest.NewShop(t).Given(bank).ThenHappened(Account.Happened("bank")) }, `what happened to Bank.Account "bank" differs`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := failure(c.scenario); !strings.Contains(got, c.want) {
				t.Errorf("it says %q, want something with %q", got, c.want)
			}
		})
	}
}

// A side effect at the boundary has an envelope without what is the publisher's own.
func TestASideEffectHearsOfAPoint(t *testing.T) {
	var heard es.Recorded[Opened]
	point := es.NewPoint(es.PointRules[Event]{Name: "Bank.Accounts"})
	ring := es.NewBoundarySideEffect("Ring", point, func(_ context.Context, _ es.Reader, e es.Recorded[Opened]) error {
		heard = e
		return nil
	})
	estest.SideEffect(t, ring).Given("a1", Opened{"ann"}).ThenDone()
	if heard.ID != "a1" || heard.Event.Holder != "ann" || heard.Version != 0 {
		t.Errorf("heard %+v", heard)
	}
}

func TestScenariosLeaveTheirBeginningAsItIs(t *testing.T) {
	given := estest.Of(t, Account).Given(Opened{"ann"})
	rich, richer := given.Given(Deposited{10}), given.Given(Deposited{20})
	rich.When(Withdraw{15}).ThenRejected(ErrOverdrawn)
	richer.With(Account.Happened("bank", Opened{})).When(Withdraw{15}).Then(Withdrawn{15})
	given.When(Withdraw{1}).ThenRejected(ErrOverdrawn.With("balance", 0))
}

// Last is a read model whose sources don't commute: it keeps the latest name.
type Last struct{ Name string }

func (Last) JSONSchema() string { return `{}` }

// Savings is a read model that can be listed.
type Savings struct {
	Holder string `json:"holder"`
	Amount int    `json:"amount"`
}

func (Savings) JSONSchema() string {
	return `{"properties":{"holder":{"type":"string"},"amount":{"type":"integer"}}}`
}

var savings = es.NewReadModel("Savings", es.From(Account, func(e es.Recorded[Event]) es.Change[Savings] {
	switch e := e.Event.(type) {
	case Opened:
		return es.Set(Savings{Holder: e.Holder})
	case Deposited:
		return es.Update(func(s Savings) Savings { s.Amount += e.Amount; return s })
	}
	return nil
})).By("holder").Sort("amount").Search("holder")

func TestAShopFoldsTheViewsThatAreRead(t *testing.T) {
	shop := estest.NewShop(t).Given(
		Account.Happened("a1", Opened{"ann"}, Deposited{9}), Account.Happened("a2", Opened{"Ännchen"}, Deposited{10}),
		Account.Happened("b1", Opened{"bob"}, Deposited{50}), Account.Happened("a3", Opened{"ann"}, Deposited{10}),
	)
	row, found, err := savings.Get(t.Context(), shop, "a1")
	if want := (Savings{"ann", 9}); err != nil || !found || row != want {
		t.Errorf("row %+v, %t, %v", row, found, err)
	}
	if _, found, err := savings.Get(t.Context(), shop, "c1"); err != nil || found {
		t.Errorf("a row that is not there: %t, %v", found, err)
	}
	for _, x := range []struct {
		es.Query
		want string
	}{
		{es.Query{}, "a1 a2 a3 b1"},
		{es.Query{Sort: "-amount"}, "b1 a3 a2 a1"},
		{es.Query{Sort: "amount", MoreThan: 9, LessThan: 50}, "a2 a3"},
		{es.Query{By: "holder", Is: "ann", Sort: "amount"}, "a1 a3"},
		{es.Query{Search: "ann", Sort: "amount", Limit: 2}, "a1 a2"},
	} {
		var ids []string
		for i, err := range savings.List(t.Context(), shop, x.Query) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, i.ID)
		}
		if got := strings.Join(ids, " "); got != x.want {
			t.Errorf("%+v finds %q, want %q", x.Query, got, x.want)
		}
	}
	var ids []string
	for id, err := range Account.IDs(t.Context(), shop) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if got := strings.Join(ids, " "); got != "a1 a2 a3 b1" {
		t.Errorf("ids are %q", got)
	}
}

func TestWhatReadsMoreThanItDeclaresFailsItsTest(t *testing.T) {
	effect := es.NewSideEffect("Print", Account, func(ctx context.Context, r es.Reader, _ es.Recorded[Opened]) error {
		_, found, err := savings.Get(ctx, r, "bank")
		if err == nil && !found {
			err = ErrClosed
		}
		return err
	})
	bank := Account.Happened("bank", Opened{"bank"})
	said := failure(func(t testing.TB) { estest.SideEffect(t, effect).With(bank).Given("a1", Opened{}).ThenDone() })
	if want := "it reads Bank.Savings, which its Reads does not name"; !strings.Contains(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
	estest.SideEffect(t, effect.Reads(savings)).With(bank).Given("a1", Opened{}).ThenDone()

	for _, err := range Account.IDs(t.Context(), estest.NewShop(t).Given(bank).Reads(savings)) {
		if err == nil || !strings.Contains(err.Error(), "it reads Bank.Account") {
			t.Errorf("it says %v", err)
		}
	}
}

func TestARuleIsToldWhoSendsTheCommandAndWhen(t *testing.T) {
	night := es.Conflict("Night")
	desk := es.NewAggregate(es.AggregateRules[Open, Event, State]{
		Name: "Bank.Desk", Access: anybody, Evolve: Event.evolve,
		DecideMeta: func(c Open, _ State, m es.Meta) ([]Event, error) {
			if m.Time.Hour() < 8 {
				return nil, night
			}
			return []Event{Opened{c.Holder + " by " + m.User}}, nil
		},
		Encode:   func(Open) (string, []byte, error) { return "Open", nil, nil },
		Commands: []es.CommandType[Open]{{Name: "Open"}},
	})
	estest.Of(t, desk).When(Open{"ann"}).ThenRejected(night)
	estest.Of(t, desk).As(es.Caller{User: "eve"}).At(estest.At(0).Add(9 * time.Hour)).When(Open{"ann"}).Then(Opened{"ann by eve"})
}

func TestWhatFollowsFromARefusedCommand(t *testing.T) {
	bonus := Bonus.OnRejected(es.React(Account, func(r es.Rejected[Deposited]) es.Commands[Command] {
		return Account.Send(r.Command.ID, Withdraw{r.Event.Amount})
	}))
	estest.Mapping(t, bonus).Given("a1", Deposited{5}).WhenRejected(ErrClosed).ThenSends(Account.Command("a1", Withdraw{5}))
	estest.Mapping(t, bonus).Given("a1", Opened{"ann"}).WhenRejected(ErrClosed).ThenNothing()
}

func TestCommutes(t *testing.T) {
	name := func(e es.Recorded[Opened]) es.Change[Last] { return es.Set(Last{e.Event.Holder}) }
	other := es.NewAggregate(es.AggregateRules[Command, Event, State]{Name: "Bank.Other", Decide: Command.decide, Evolve: Event.evolve})
	latest := es.NewReadModel[Last]("Latest", es.From(Account, name), es.From(other, name))
	first := es.NewReadModel[Last]("First", es.From(Account, name), es.From(other, func(es.Recorded[Event]) es.Change[Last] { return nil }))
	few := []es.Happened{Account.Happened("a1", Opened{"a"}, Opened{"b"}), other.Happened("a1", Opened{"c"}, Opened{"d"})}
	many := []es.Happened{
		Account.Happened("a1", repeated(Opened{"a"}, 20)...),
		other.Happened("a1", repeated(Opened{"b"}, 20)...),
	}
	for _, history := range [][]es.Happened{few, many} {
		estest.Commutes(t, first, history...)
		if got := failure(func(t testing.TB) { estest.Commutes(t, latest, history...) }); !strings.Contains(got, "differs from the one folded source by source") {
			t.Errorf("sources that don't commute are fine, it says %q", got)
		}
	}
	t.Run("a row that is deleted is folded afresh", func(t *testing.T) {
		estest.Commutes(t, Balances, Account.Happened("a1", Opened{"ann"}, Deposited{13}, Withdrawn{13}, Opened{"ann"}))
	})
}

func repeated(e Event, n int) (out []Event) {
	for range n {
		out = append(out, e)
	}
	return out
}

func TestShopDecidesLikeAShop(t *testing.T) {
	ctx := context.Background()
	deposit := es.TaskCommand{Command: Account.Command("a1", Deposit{5}), MessageID: "m1", CorrelationID: "c1"}
	t.Run("a command takes effect once per message id", func(t *testing.T) {
		shop := estest.NewShop(t).Given(Account.Happened("a1", Opened{"ann"}))
		for range 2 {
			out := shop.Execute(ctx, deposit)[0]
			if out.Err != nil || out.Version != 2 || fmt.Sprint(out.Events) != "[Deposited]" {
				t.Errorf("got %+v, want version 2 with Deposited", out)
			}
		}
		shop.ThenHappened(Account.Happened("a1", Opened{"ann"}, Deposited{5}))
	})
	t.Run("without one, each time", func(t *testing.T) {
		shop := estest.NewShop(t).Given(Account.Happened("a1", Opened{"ann"}))
		without := deposit
		without.MessageID = ""
		shop.Execute(ctx, without, without)
		shop.ThenHappened(Account.Happened("a1", Opened{"ann"}, Deposited{5}, Deposited{5}))
	})
	t.Run("a message id is one command's", func(t *testing.T) {
		shop := estest.NewShop(t).Given(Account.Happened("a1", Opened{"ann"}))
		other := deposit
		other.Payload = Deposit{6}
		if out := shop.Execute(ctx, deposit, other); out[0].Err != nil || out[1].Err == nil {
			t.Errorf("got %+v, want the second to be refused", out)
		}
	})
	t.Run("a rejected command is judged again", func(t *testing.T) {
		shop := estest.NewShop(t, Account)
		if out := shop.Execute(ctx, deposit)[0]; !errors.Is(out.Err, ErrNotOpen) {
			t.Errorf("got %+v, want %v", out, ErrNotOpen)
		}
		shop.Given(Account.Happened("a1", Opened{"ann"}))
		if out := shop.Execute(ctx, deposit)[0]; out.Err != nil {
			t.Error(out.Err)
		}
	})
	t.Run("rules that read other aggregates are asked", func(t *testing.T) {
		shop := estest.NewShop(t).Given(Account.Happened("a1", Opened{"ann"}, Deposited{5}))
		withdraw := es.TaskCommand{Command: Account.Command("a1", Withdraw{5})}
		if out := shop.Execute(ctx, withdraw)[0]; !errors.Is(out.Err, ErrClosed) {
			t.Errorf("got %+v, want %v", out, ErrClosed)
		}
		shop.Given(Account.Happened("bank", Opened{"bank"}))
		if out := shop.Execute(ctx, withdraw)[0]; out.Err != nil || out.Version != 3 {
			t.Errorf("got %+v, want version 3", out)
		}
	})
	t.Run("who creates an aggregate owns it", func(t *testing.T) {
		shop := estest.NewShop(t, Account)
		shop.Execute(ctx, es.TaskCommand{Command: Account.Command("a1", Open{"ann"})})
		if _, owner, err := Account.Load(ctx, shop, "a1"); err != nil || owner != "ann" {
			t.Errorf("it belongs to %q (error: %v), want ann", owner, err)
		}
	})
	t.Run("an unknown aggregate is a mistake of the test", func(t *testing.T) {
		if out := estest.NewShop(t).Execute(ctx, deposit)[0]; out.Err == nil || !strings.Contains(out.Err.Error(), "NewShop") {
			t.Errorf("got %+v, want a hint at NewShop", out)
		}
	})
}

func TestStopping(t *testing.T) {
	shop := estest.NewShop(t).Given(Account.Happened("a1", Opened{"ann"}))
	file := estest.NewObject("june.txt", "1", "a1 10\na1 20\na1 30\n")
	if err := Ledger.OnObject(context.Background(), file.Object, shop.StopAfter(2)); !errors.Is(err, es.ErrUnfinished) {
		t.Fatalf("got %v, want %v", err, es.ErrUnfinished)
	}
	shop.ThenHappened(Account.Happened("a1", Opened{"ann"}, Deposited{10}, Deposited{20}))
	if err := Ledger.OnObject(context.Background(), file.Object, shop.StopAfter(0)); err != nil {
		t.Fatal(err)
	}
	shop.ThenHappened(Account.Happened("a1", Opened{"ann"}, Deposited{10}, Deposited{20}, Deposited{30}))
}

func TestAGoneObjectCantBeOpened(t *testing.T) {
	file := estest.NewObject("june.txt", "1", "a1 10\n").Gone()
	if err := Ledger.OnObject(context.Background(), file.Object, estest.NewShop(t, Account)); !errors.Is(err, es.ErrObjectGone) {
		t.Errorf("got %v, want %v", err, es.ErrObjectGone)
	}
}
