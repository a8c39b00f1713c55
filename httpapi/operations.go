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
		a.add(&endpoint{
			method: http.MethodGet, path: "/operations/rejections", tag: operations, name: "rejections",
			summary: "What commands of mappings and extensions were refused, and what was skipped, newest first; it is kept for 30 days", allow: admin,
			query: []parameter{followerParameter, limitParameter, cursorParameter}, answers: rejectionsSchema, refuses: []int{404}, serve: a.rejections,
		}),
		a.addStep("redrive", "Try a page of what is parked again, or one key of it", redriveSchema, func(ctx context.Context, s step) (engine.Progress, error) {
			if s.consumer == "" && s.stream == (engine.Stream{}) {
				return a.Operations.Redrive(ctx, s.cursor)
			}
			return engine.Progress{Done: 1}, a.Operations.RedriveKey(ctx, s.consumer, s.stream)
		}),
		a.addStep("skip", "Let a parked follower pass over the event that it fails on: what it would have done about it is never done", skipSchema, func(ctx context.Context, s step) (engine.Progress, error) {
			return engine.Progress{Done: 1}, a.Operations.Skip(ctx, s.consumer, s.stream, s.who, s.reason)
		}),
		a.addStep("sweep", "Bring the consumers of a page of aggregates up to date", stepSchema, func(ctx context.Context, s step) (engine.Progress, error) {
			return a.Operations.Sweep(ctx, s.cursor)
		}),
		a.addStep("rebuild", "Fold a page of a read model's rows again from their logs, or compare them only", rebuildSchema, func(ctx context.Context, s step) (engine.Progress, error) {
			if s.check {
				return a.Operations.CheckRows(ctx, s.model, s.cursor)
			}
			return a.Operations.Rebuild(ctx, s.model, s.cursor)
		}),
		a.addVerify(),
		a.addSchedules(),
	)
}

const operations = "Operations"

// step is what the body of one bounded step of an operation says.
type step struct {
	cursor, model    string
	check            bool
	consumer, reason string
	schedule         string
	stream           engine.Stream
	who              string
}

func (a *api) addStep(name, summary string, payload *schema, do func(context.Context, step) (engine.Progress, error)) error {
	e := &endpoint{
		method: http.MethodPost, path: "/operations/" + name, tag: operations, name: name, summary: summary,
		allow: admin, body: true, payload: payload, bodyOptional: payload == stepSchema || payload == redriveSchema,
		answers: progressSchema, refuses: []int{413, 415, 422},
		serve: func(c *call) (*answer, error) {
			s, err := c.step(payload)
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
	if payload != stepSchema {
		e.refuses = append(e.refuses, http.StatusNotFound)
	}
	if payload == skipSchema {
		e.refuses = append(e.refuses, http.StatusConflict)
	}
	return a.add(e)
}

func (c *call) step(payload *schema) (step, error) {
	s, err := wire.ReadSent(c.body, c.endpoint.bodyOptional, func(v wire.Value) (s step) {
		f := v.Fields()
		defer f.Done()
		switch payload {
		case runSchema:
			s.schedule = f.Field("schedule").String()
			return s
		case rebuildSchema:
			s.model, s.check = f.Field("readModel").String(), f.Optional("check").Bool()
		case skipSchema:
			s.consumer, s.stream = f.Field("consumer").String(), c.readStream(f.Field("stream"))
			s.reason = f.Field("reason").String()
			return s
		case redriveSchema:
			s.consumer, s.stream = f.Optional("consumer").String(), c.readStream(f.Optional("stream"))
		}
		s.cursor = f.Optional("cursor").String()
		return s
	})
	c.value = s.model // a cursor is good for its read model only
	s.who = c.caller.User
	if err == nil && s.cursor != "" {
		s.cursor, err = c.decodeCursor(s.cursor)
	}
	if err == nil && (s.consumer == "") != (s.stream == engine.Stream{}) {
		err = errMalformed.Because("one key has a consumer and a stream")
	}
	return s, err
}

// readStream reads a stream's name; one that is none is nobody's.
func (c *call) readStream(v wire.Value) engine.Stream {
	name := v.String()
	s, err := engine.ParseStream(name)
	if err != nil {
		return engine.Stream{Aggregate: name}
	}
	return s
}

var followerParameter = parameter{
	"follower", "only those of this follower, e.g. mapping:Ordering.AutoShip",
	object{"type": "string", "minLength": 1},
	func(c *call, value string) error {
		if value == "" {
			return errMalformed.Because("follower needs a name")
		}
		c.value = value
		return nil
	},
}

func (a *api) rejections(c *call) (*answer, error) {
	list, next, err := a.Engine.ListRejections(c.Context(), c.value, c.cursor, c.limit)
	if err != nil {
		return nil, err
	}
	type rejection struct {
		Follower      string `json:"follower"`
		Stream        string `json:"stream"`
		Seq           int64  `json:"seq"`
		Target        string `json:"target,omitempty"`
		Code          string `json:"code"`
		Detail        string `json:"detail"`
		Time          string `json:"time"`
		CorrelationID string `json:"correlationId,omitempty"`
		User          string `json:"user,omitempty"`
	}
	p := page{Items: []json.RawMessage{}}
	if p.Next, err = c.encodeCursor(next); err != nil {
		return nil, err
	}
	for _, r := range list {
		out := rejection{
			Follower: r.Follower(), Stream: r.Source(), Seq: r.Command.Seq, Code: r.Code, Detail: r.Detail,
			Time: es.FormatTime(r.Time), CorrelationID: r.CorrelationID, User: r.User,
		}
		if r.Target != (engine.Stream{}) {
			out.Target = r.Target.String()
		}
		p.Items = append(p.Items, marshal(out))
	}
	return &answer{body: marshal(p)}, nil
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
		Next     string `json:"next"`
	}
	p := page{Items: []json.RawMessage{}}
	if p.Next, err = c.encodeCursor(next); err != nil {
		return nil, err
	}
	for _, k := range parked {
		reason, _, _ := strings.Cut(k.Error, "\n") // a panic's stack trace is for the log
		p.Items = append(p.Items, marshal(key{
			k.Consumer, k.Stream.String(), reason, es.FormatTime(k.Since), es.FormatTime(k.Last), k.Attempts, es.FormatTime(k.Due()),
		}))
	}
	return &answer{body: marshal(p)}, nil
}
