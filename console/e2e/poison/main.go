// Poison appends a commit that nobody can read to the log of a shop that is closed, for
// the tests of what the page shows then: poison DATA LIKE ID makes an order of that id,
// which is like another one but for its products.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/local"
	"onlineshop/plugins"
)

func main() {
	if err := poison(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "poison:", err)
		os.Exit(1)
	}
}

func poison(ctx context.Context, arguments []string) (err error) {
	if len(arguments) != 3 {
		return errors.New("it takes DATA, LIKE and ID")
	}
	data, like, id := arguments[0], arguments[1], arguments[2]
	shop, err := local.Open(ctx, local.Options{Dir: data, Plugins: plugins.All(plugins.NoDeps{}), Version: "poison", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.Close(ctx)) }()
	events := shop.Engine().Log
	commits, _, err := events.Read(ctx, engine.Stream{Aggregate: "Ordering.Order", ID: like}, 0, 0)
	if err != nil {
		return err
	}
	if len(commits) == 0 {
		return errors.New("there is no order " + like)
	}
	bad := commits[0].Detached()
	bad.Hash = nil // or it would be damage
	bad.Stream.ID = id
	bad.Events = []es.StoredEvent{{Type: "Placed", Data: json.RawMessage(`{"customerId":"ann","productIds":7}`)}}
	bad.Meta.Command.Origin, bad.Meta.MessageID = "key:"+id, id
	return events.Append(ctx, bad)
}
