package customer

import "onlineshop/es"

// Account is a row of Customers.
type Account struct {
	Email       string //es:personal
	Address     string //es:personal
	Deactivated bool
	Erased      bool //es:optional
}

// Customers is every customer's contact details and account status.
var Customers = es.NewReadModel[Account]("Customers", es.From(Aggregate, toAccount)).Allow(es.AllowOwner(es.Admin))

func toAccount(e es.Recorded[Event]) es.Change[Account] {
	switch e := e.Event.(type) {
	case Registered:
		return es.Set(Account{Email: e.Email, Address: e.Address})
	case EmailUpdated:
		return es.Update(func(a Account) Account { a.Email = e.Email; return a })
	case AddressUpdated:
		return es.Update(func(a Account) Account { a.Address = e.Address; return a })
	case Deactivated:
		return es.Update(func(a Account) Account { a.Deactivated = true; return a })
	case Erased:
		return es.Update(func(a Account) Account { a.Erased = true; return a })
	}
	return nil
}
