package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"onlineshop/es"
	"onlineshop/es/engine"
)

var (
	signedIn = func(es.Caller) error { return nil }

	versionParameter = parameter{
		"version", "the version whose state is asked for; the present one where it is absent",
		map[string]any{"type": "integer", "minimum": 1},
		func(c *call, value string) error {
			n, ok := digits(value)
			if !ok || n < 1 {
				return errMalformed.Because("version must be a whole number from 1")
			}
			c.version = &n
			return nil
		},
	}
	fromParameter = parameter{
		"from", "the version that the first page starts with; 1 where it is absent",
		map[string]any{"type": "integer", "minimum": 1, "maximum": maxFrom, "default": 1},
		func(c *call, value string) error {
			n, ok := digits(value)
			if !ok || n < 1 || n > maxFrom {
				return errMalformed.Because("from must be a whole number from 1 to %d", maxFrom)
			}
			c.version = &n
			return nil
		},
	}
	streamParameter = parameter{
		"stream", "an aggregate's stream, e.g. Ordering.Order#o1",
		map[string]any{"type": "string", "minLength": 1},
		func(c *call, value string) (err error) {
			if c.stream, err = engine.ParseStream(value); err != nil {
				return errMalformed.Because("%s", err)
			}
			return nil
		},
	}
)

// maxFrom is more than any history has.
const maxFrom = 1<<31 - 1

var (
	previewSchema = &schema{"Preview", record(object{
		"aggregate": text, "id": text,
		"version": object{"type": "integer", "minimum": 0, "description": "the aggregate's present one"},
		"events":  listOf(record(object{"type": text, "data": anyJSON})),
		"dryRun":  object{"const": true},
	}), nil}
	stateSchema = &schema{"State", record(object{
		"id": text, "version": object{"type": "integer", "minimum": 0}, "state": object{},
	}), nil}
	streamsSchema    = pageSchema(inline(record(object{"id": text})))
	traceEventSchema = record(object{
		"stream": text, "version": count, "type": text, "data": anyJSON, "time": instant, "user": text, "messageId": text, "correlationId": text,
	}, "data")
	traceSchema = &schema{"Trace", record(object{
		"event": traceEventSchema,
		"cause": record(object{"follower": text, "stream": text, "version": count}),
		"then":  listOf(object{"$ref": "#/components/schemas/TraceBranch"}),
	}, "cause"), []*schema{{"TraceBranch", record(object{
		"follower": text,
		"state": object{"type": "string", "enum": []engine.BranchState{
			engine.BranchDone, engine.BranchPending, engine.BranchDue, engine.BranchParked, engine.BranchRejected, engine.BranchNone,
		}},
		"milliseconds": object{"type": "integer", "description": "from the commit to the one that followed"},
		"dueAt":        instant, "error": text, "event": traceEventSchema,
		"then": listOf(object{"$ref": "#/components/schemas/TraceBranch"}),
	}, "milliseconds", "dueAt", "error", "event", "then"), nil}}}
	whoamiSchema = inline(record(object{
		"user": text, "groups": texts,
		"actAs": object{"type": "boolean", "description": "whether requests may name another user, with X-Local-User"},
	}))
)

// addInspection adds what shows an aggregate as it is, was, or went on.
func (a *api) addInspection(base string, p es.Plugin, d es.AggregateDefinition) error {
	return errors.Join(
		a.add(&endpoint{
			method: http.MethodGet, path: base, tag: p.Name, name: d.Name + "-ids",
			summary: "The ids of the aggregate " + d.Name, allow: admin,
			query: []parameter{limitParameter, cursorParameter}, answers: streamsSchema,
			serve: func(c *call) (*answer, error) { return a.streams(c, d.Name) },
		}),
		a.add(&endpoint{
			method: http.MethodGet, path: base + "/" + idSegment, tag: p.Name, name: d.Name + "-state",
			summary: "The state of one " + d.Name + ", for members of Admin and its owner", allow: signedIn, id: anyID,
			query: []parameter{versionParameter}, answers: stateSchema, refuses: []int{404, 409, 422},
			serve: func(c *call) (*answer, error) {
				s, err := a.Engine.State(c.Context(), c.caller, d.Name, c.id, c.version)
				if err != nil {
					return nil, err
				}
				return &answer{body: marshal(struct {
					ID      string          `json:"id"`
					Version int64           `json:"version"`
					State   json.RawMessage `json:"state"`
				}{c.id, s.Version, s.State})}, nil
			},
		}),
	)
}

func (a *api) streams(c *call, aggregate string) (*answer, error) {
	ids, next, err := a.Engine.Streams(c.Context(), aggregate, c.cursor, c.limit)
	if err != nil {
		return nil, err
	}
	p := page{Items: []json.RawMessage{}}
	for _, id := range ids {
		p.Items = append(p.Items, marshal(map[string]string{"id": id}))
	}
	if p.Next, err = c.encodeCursor(next); err != nil {
		return nil, err
	}
	return &answer{body: marshal(p)}, nil
}

// addTrace adds what tells a caller about commands: who sends them, and what they set off.
func (a *api) addTrace() error {
	return errors.Join(
		a.add(&endpoint{
			method: http.MethodGet, path: "/operations/trace", tag: operations, name: "trace",
			summary: "What a commit set off, for members of Admin and the aggregate's owner", allow: signedIn,
			query: []parameter{streamParameter, versionParameter}, answers: traceSchema, refuses: []int{404},
			serve: a.trace,
		}),
		a.add(&endpoint{
			method: http.MethodGet, path: "/whoami", tag: "Shop", name: "whoami", summary: "Who sends the request",
			allow: signedIn, answers: whoamiSchema,
			serve: func(c *call) (*answer, error) {
				_, actAs := a.Identity.(local)
				return &answer{body: marshal(struct {
					User   string   `json:"user"`
					Groups []string `json:"groups"`
					ActAs  bool     `json:"actAs"`
				}{c.caller.User, append([]string{}, c.caller.Groups...), actAs})}, nil
			},
		}),
	)
}

// traced is a trace as callers see it; its root has no follower.
type traced struct {
	Follower     string             `json:"follower,omitempty"`
	State        engine.BranchState `json:"state,omitempty"`
	Milliseconds *int64             `json:"milliseconds,omitempty"`
	DueAt        string             `json:"dueAt,omitempty"`
	Error        string             `json:"error,omitempty"`
	Event        *tracedEvent       `json:"event,omitempty"`
	Cause        *tracedCause       `json:"cause,omitempty"`
	Then         *[]traced          `json:"then,omitempty"`
}

type tracedEvent struct {
	Stream        string          `json:"stream"`
	Version       int64           `json:"version"`
	Type          string          `json:"type"`
	Data          json.RawMessage `json:"data,omitempty"`
	Time          string          `json:"time"`
	User          string          `json:"user"`
	MessageID     string          `json:"messageId"`
	CorrelationID string          `json:"correlationId"`
}

type tracedCause struct {
	Follower string `json:"follower"`
	Stream   string `json:"stream"`
	Version  int64  `json:"version"`
}

func (a *api) trace(c *call) (*answer, error) {
	if c.stream.Aggregate == "" || c.version == nil {
		return nil, errMalformed.Because("a trace needs a stream and a version")
	}
	t, err := a.Engine.Trace(c.Context(), c.caller, c.stream, *c.version)
	if err != nil {
		return nil, err
	}
	var out traced
	out.add(t)
	if t.Cause != nil {
		out.Cause = &tracedCause{t.Cause.Follower, t.Cause.Stream.String(), t.Cause.Version}
	}
	return &answer{body: marshal(out)}, nil
}

func (t *traced) add(from engine.Trace) {
	e := from.Event
	t.Event = &tracedEvent{
		e.Stream.String(), e.Version, e.Type, e.Data, es.FormatTime(e.Meta.Time), e.Meta.User, e.Meta.MessageID, e.Meta.CorrelationID,
	}
	t.Then = &[]traced{}
	for _, b := range from.Then {
		branch := traced{Follower: b.Follower, State: b.State, Error: b.Error}
		if !b.Due.IsZero() {
			branch.DueAt = es.FormatTime(b.Due)
		}
		if b.Trace != nil {
			branch.Milliseconds = &b.Milliseconds
			branch.add(*b.Trace)
		}
		*t.Then = append(*t.Then, branch)
	}
}

// preview answers a command that is sent as a dry run.
func (a *api) preview(c *call, d es.AggregateDefinition, r engine.Request) (*answer, error) {
	p, err := a.Engine.Preview(c.Context(), r)
	if err != nil {
		return nil, err
	}
	type event struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	out := struct {
		Aggregate string  `json:"aggregate"`
		ID        string  `json:"id"`
		Version   int64   `json:"version"`
		Events    []event `json:"events"`
		DryRun    bool    `json:"dryRun"`
	}{d.Name, c.id, p.Version, []event{}, true}
	for _, e := range p.Events {
		out.Events = append(out.Events, event{e.Type, e.Data})
	}
	c.header.Set("Preference-Applied", dryRun)
	c.header.Set("ETag", etag(p.Version))
	return &answer{body: marshal(out)}, nil
}

// dryRun is the preference (RFC 7240) for seeing what a command would append.
const dryRun = "dry-run"

// prefersDryRun is true whatever value and parameters the preference has: who names it
// must not find the command done.
func (c *call) prefersDryRun() bool {
	for _, p := range strings.Split(strings.Join(c.Header.Values("Prefer"), ","), ",") {
		name, _, _ := strings.Cut(p, ";")
		name, _, _ = strings.Cut(name, "=")
		if strings.EqualFold(strings.TrimSpace(name), dryRun) {
			return true
		}
	}
	return false
}
