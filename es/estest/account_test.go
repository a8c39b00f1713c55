package estest_test

import (
	"context"
	"encoding/json"
	"fmt"

	"onlineshop/es"
	"onlineshop/es/wire"
)

// The aggregate that this package's tests and examples are about: a bank account,
// which belongs to whom it is opened for.
type (
	Open     struct{ Holder string }
	Deposit  struct{ Amount int }
	Withdraw struct{ Amount int }

	Opened    Open
	Deposited Deposit
	Withdrawn Withdraw
)

var (
	ErrNotOpen   = es.NotFound("AccountNotFound")
	ErrOverdrawn = es.Conflict("AccountOverdrawn")
	ErrClosed    = es.Conflict("BankClosed")
)

type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

type State struct {
	Open    bool
	Balance int
}

func (Opened) evolve(s State) State      { s.Open = true; return s }
func (e Deposited) evolve(s State) State { s.Balance += e.Amount; return s }
func (e Withdrawn) evolve(s State) State { s.Balance -= e.Amount; return s }

func (c Open) decide(s State) ([]Event, error) {
	if s.Open {
		return nil, nil
	}
	return []Event{Opened(c)}, nil
}

func (c Deposit) decide(s State) ([]Event, error) {
	if !s.Open {
		return nil, ErrNotOpen
	}
	return []Event{Deposited(c)}, nil
}

func (c Withdraw) decide(s State) ([]Event, error) {
	if s.Balance < c.Amount {
		return nil, ErrOverdrawn.With("balance", s.Balance)
	}
	return []Event{Withdrawn(c)}, nil
}

// The bank is open while its own account is.
func (c Withdraw) check(ctx context.Context, r es.Reader) error {
	if s, err := Account.State(ctx, r, "bank"); err != nil || s.Open {
		return err
	}
	return ErrClosed
}

var ownerOrAdmin, anybody = es.AllowOwner(es.Admin), es.AllowSignedIn()

// What go generate would write, with encoding/json for brevity.
var Account = es.NewAggregate(es.AggregateRules[Command, Event, State]{
	Name: "Bank.Account", Decide: Command.decide, Evolve: Event.evolve, Access: ownerOrAdmin,
	Check: func(ctx context.Context, r es.Reader, c Command, _ es.Meta) error {
		if c, ok := c.(interface { // a type switch would make an initialization cycle
			check(context.Context, es.Reader) error
		}); ok {
			return c.check(ctx, r)
		}
		return nil
	},
	Owner: func(_ context.Context, r es.Reader, c Command) (string, error) {
		if c, ok := c.(Open); ok {
			return c.Holder, nil
		}
		return r.Caller().User, nil
	},
	Valid: func(c Command, p *es.ValidationError) Command {
		if c, ok := c.(Open); ok {
			c.Holder = wire.Trim(c.Holder)
			p.Length("/holder", c.Holder, 1, 10)
			return c
		}
		return c
	},
	Commands: []es.CommandType[Command]{{Name: "Deposit"}, {Name: "Open", Access: &anybody}, {Name: "Withdraw"}},
	Events: []es.EventType[Event]{
		{Name: "Deposited", Version: 1, Read: func(v wire.Value) Event { return Deposited{amount(v)} }},
		{Name: "Opened", Version: 1, Read: func(v wire.Value) Event { return Opened{v.Fields().Field("Holder").String()} }},
		{Name: "Withdrawn", Version: 1, Read: func(v wire.Value) Event { return Withdrawn{amount(v)} }},
	},
	Encode: func(c Command) (string, []byte, error) {
		b, err := json.Marshal(c)
		switch c.(type) {
		case Open:
			return "Open", b, err
		case Deposit:
			return "Deposit", b, err
		}
		return "Withdraw", b, err
	},
	Wire: func(e Event) (string, int, []byte, error) {
		b, err := json.Marshal(e)
		switch e.(type) {
		case Opened:
			return "Opened", 1, b, err
		case Deposited:
			return "Deposited", 1, b, err
		}
		return "Withdrawn", 1, b, err
	},
})

func amount(v wire.Value) int { return int(v.Fields().Field("Amount").Int(64)) }

// Balance is a row of Balances.
type Balance struct {
	Holder string
	Amount int
}

func (Balance) JSONSchema() string { return `{}` }

var Balances = es.NewReadModel[Balance]("Balances", es.From(Account, func(e es.Recorded[Event]) es.Change[Balance] {
	switch e := e.Event.(type) {
	case Opened:
		return es.Set(Balance{Holder: e.Holder})
	case Deposited:
		return es.Update(func(b Balance) Balance { b.Amount += e.Amount; return b })
	case Withdrawn:
		if e.Amount == 13 { // an unlucky one closes the account
			return es.Delete[Balance]()
		}
		return es.Update(func(b Balance) Balance { b.Amount -= e.Amount; return b })
	}
	return nil
}))

// Bonus pays a coin for each deposit.
var Bonus = es.NewMapping("Bonus", Account, Account, func(e es.Recorded[Deposited]) es.Commands[Command] {
	return Account.Send(e.ID, Deposit{1})
})

// Ledger is a task that pays in what an object says, a line each.
var Ledger = es.Task{Name: "Ledger", Bucket: "ledgers", OnObject: func(ctx context.Context, o es.Object, s es.Shop) error {
	in, err := o.Open(ctx, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	for line := 1; ; line++ {
		var id string
		var amount int
		if _, err := fmt.Fscan(in, &id, &amount); err != nil {
			return nil
		}
		out := s.Execute(ctx, es.TaskCommand{Command: Account.Command(id, Deposit{amount}), MessageID: fmt.Sprintf("%s/%d", o.ETag, line)})
		if out[0].Err != nil {
			return out[0].Err
		}
		if s.Stopping() {
			return es.ErrUnfinished
		}
	}
}}
