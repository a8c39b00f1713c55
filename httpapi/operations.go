package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/wire"
)

// addOperations adds what operators of the shop do.
func (a *api) addOperations() error {
	return errors.Join(
		a.add(&endpoint{
			method: http.MethodGet, path: "/operations/parked", tag: operations, name: "parked",
			summary: "What failed and waits to be tried again", allow: admin,
			query: []parameter{cursorParameter}, answers: parkedSchema, serve: a.parked,
		}),
		a.addStep("redrive", "Try a page of what is parked again", false, func(ctx context.Context, s step) (engine.Progress, error) {
			return a.Operations.Redrive(ctx, s.cursor)
		}),
		a.addStep("sweep", "Bring the consumers of a page of aggregates up to date", false, func(ctx context.Context, s step) (engine.Progress, error) {
			return a.Operations.Sweep(ctx, s.cursor)
		}),
		a.addStep("rebuild", "Fold a page of a read model's rows again from their logs", true, func(ctx context.Context, s step) (engine.Progress, error) {
			return a.Operations.Rebuild(ctx, s.model, s.cursor)
		}),
	)
}

const operations = "Operations"

// step is what the body of one bounded step of an operation says.
type step struct{ cursor, model string }

func (a *api) addStep(name, summary string, model bool, do func(context.Context, step) (engine.Progress, error)) error {
	e := &endpoint{
		method: http.MethodPost, path: "/operations/" + name, tag: operations, name: name, summary: summary,
		allow: admin, body: true, payload: stepSchema(model), bodyOptional: !model,
		answers: progressSchema, refuses: []int{413, 415, 422},
		serve: func(c *call) (*answer, error) {
			s, err := c.step(model)
			if err != nil {
				return nil, err
			}
			p, err := do(c.Context(), s)
			switch {
			case errors.Is(err, engine.ErrCursor):
				return nil, errMalformed.Because("%s", engine.ErrCursor)
			case err != nil:
				return nil, err
			}
			if p.Next, err = c.encodeCursor(p.Next); err != nil {
				return nil, err
			}
			return &answer{body: marshal(p)}, nil
		},
	}
	if model {
		e.refuses = append(e.refuses, http.StatusNotFound)
	}
	return a.add(e)
}

func (c *call) step(model bool) (step, error) {
	s, err := wire.ReadSent(c.body, !model, func(v wire.Value) (s step) {
		f := v.Fields()
		defer f.Done()
		if model {
			s.model = f.Field("readModel").String()
		}
		s.cursor = f.Optional("cursor").String()
		return s
	})
	c.value = s.model // a cursor is good for its read model only
	if err == nil && s.cursor != "" {
		s.cursor, err = c.decodeCursor(s.cursor)
	}
	return s, err
}

func (a *api) parked(c *call) (*answer, error) {
	parked, next, err := a.Operations.ListParked(c.Context(), c.cursor)
	if err != nil {
		return nil, err
	}
	type key struct {
		Consumer string `json:"consumer"`
		Stream   string `json:"stream"`
		Error    string `json:"error"`
		Since    string `json:"since"`
		Last     string `json:"last"`
		Attempts int    `json:"attempts"`
	}
	p := page{Items: []json.RawMessage{}}
	if p.Next, err = c.encodeCursor(next); err != nil {
		return nil, err
	}
	for _, k := range parked {
		reason, _, _ := strings.Cut(k.Error, "\n") // a panic's stack trace is for the log
		p.Items = append(p.Items, marshal(key{
			k.Consumer, k.Stream.String(), reason, es.FormatTime(k.Since), es.FormatTime(k.Last), k.Attempts,
		}))
	}
	return &answer{body: marshal(p)}, nil
}
