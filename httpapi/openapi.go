package httpapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"onlineshop/es"
)

type object = map[string]any

// schema is a JSON Schema: a component of its own where it has a name.
type schema struct {
	name string
	doc  any       // its JSON
	uses []*schema // components that doc refers to
}

func inline(doc any, uses ...*schema) *schema { return &schema{"", doc, uses} }

// ref is how a document says that something is of this schema.
func (s *schema) ref() any {
	if s.name == "" {
		return s.doc
	}
	return object{"$ref": "#/components/schemas/" + s.name}
}

func (s *schema) collect(into object) {
	if s == nil {
		return
	}
	if s.name != "" {
		into[s.name] = s.doc
	}
	for _, u := range s.uses {
		u.collect(into)
	}
}

// record is an object that has all of the fields but the optional ones.
func record(fields object, optional ...string) object {
	required := slices.DeleteFunc(slices.Sorted(maps.Keys(fields)), func(name string) bool { return slices.Contains(optional, name) })
	return object{"type": "object", "properties": fields, "required": required, "additionalProperties": false}
}

func listOf(item any) object { return object{"type": "array", "items": item} }

var (
	text    = object{"type": "string"}
	boolean = object{"type": "boolean"}
	number  = object{"type": "number"}
	count   = object{"type": "integer", "minimum": 0}
	instant = object{"type": "string", "format": "date-time"}
	anyJSON = object{"type": "object"}
	texts   = listOf(text)

	problemSchema = &schema{"Problem", object{
		"type": "object", "description": "What is wrong (RFC 9457).",
		"required": []string{"status", "title", "detail", "code", "correlationId"},
		"properties": object{
			"status": object{"type": "integer", "minimum": 400, "maximum": 599}, "title": text, "detail": text,
			"code":          object{"type": "string", "description": "stable, for programs"},
			"correlationId": text,
			"errors": object{
				"type": "array", "description": "with the code InvalidPayload",
				"items": record(object{"pointer": object{"type": "string", "description": "where in the body (RFC 6901)"}, "detail": text}),
			},
		},
		"additionalProperties": true, // of the rejection, see es.Rejection.With
	}, nil}
	outcomeSchema = &schema{"Outcome", record(object{
		"aggregate": text, "id": text,
		"version": object{"type": "integer", "minimum": 0, "description": "events in the aggregate's stream after the command"},
		"events":  object{"type": "array", "items": text, "description": "what was decided; empty: there was nothing to change"},
	}), nil}
	progressSchema = &schema{"Progress", record(object{
		"done": count,
		"next": object{"type": "string", "description": "where the next step goes on; absent at the end"},
	}, "next"), nil}
	checkedSchema = &schema{"Check", record(object{
		"id": text, "status": object{"type": "string", "enum": []string{"finished", "rejected"}, "description": "rejected: the file as a whole would be"},
		"reason": text, "note": object{"type": "string", "description": "how the file was read, where that is worth knowing"},
		"rows": count, "added": count, "unchanged": count, "rejected": count,
		"outcomes": listOf(record(object{
			"line": count, "outcome": object{"type": "string", "description": "added, unchanged, or the code of why the row is rejected"}, "reason": text,
		}, "reason")),
		"more": object{"type": "integer", "minimum": 1, "description": "how many rows are not in outcomes, which is cut at 4 MiB"},
	}, "reason", "note", "more"), nil}
	parkedSchema = pageSchema(&schema{"Parked", record(object{
		"consumer": text, "stream": text, "error": text, "since": instant, "last": instant, "attempts": count,
	}), nil})
	healthSchema = &schema{"Health", record(object{
		"status": object{"type": "string", "enum": []string{"ok", "degraded"}}, "version": text,
		"problems": object{
			"type": "array", "description": "what is wrong now with what the shop stands on; absent: nothing",
			"items": record(object{"component": text, "detail": text, "since": instant}),
		},
		"plugins": listOf(record(object{
			"name": text, "connected": boolean, "lastHeartbeat": instant,
			"consumers": listOf(record(object{
				"name": text, "lagSeconds": number, "parked": count,
				"failed": object{"type": "integer", "minimum": 0, "description": "runs of a side effect or task that failed in the latest 24 hours; absent: none"},
			}, "failed")),
		}, "lastHeartbeat")),
	}, "problems"), nil}
	manifestSchema = &schema{"Manifest", record(object{"version": text, "plugins": listOf(record(object{
		"name": text, "heartbeatIntervalSeconds": number, "uiBundleUrl": text,
		"aggregates": listOf(record(object{
			"name": text, "path": text, "internal": boolean,
			"commands": listOf(record(object{"name": text, "path": text, "access": accessSchema, "schema": anyJSON})),
			"events":   eventsSchema,
		})),
		"readModels": listOf(record(object{
			"name": text, "path": text, "sources": texts, "indexes": texts, "access": accessSchema, "schema": anyJSON,
		})),
		"mappings":        listOf(record(object{"name": text, "source": text, "target": text, "delaySeconds": number})),
		"extensionPoints": listOf(record(object{"name": text, "source": text, "events": eventsSchema})),
		"extensions":      listOf(record(object{"name": text, "point": text, "target": text})),
		"sideEffects":     listOf(record(object{"name": text, "source": text, "task": text})),
		"tasks":           listOf(record(object{"name": text, "bucket": text, "report": text}, "bucket", "report")),
	}, "uiBundleUrl"))}), nil}
	accessSchema = record(object{"groups": texts, "owner": boolean})
	eventsSchema = listOf(record(object{"name": text, "version": count, "schema": anyJSON}))
)

func pageSchema(item *schema) *schema {
	return inline(record(object{
		"items": listOf(item.ref()),
		"next":  object{"type": "string", "description": "the next page's cursor; absent on the last page"},
	}, "next"), item)
}

func stepSchema(model bool) *schema {
	fields := object{"cursor": object{"type": "string", "minLength": 1, "description": "the previous step's next"}}
	if model {
		fields["readModel"] = object{"type": "string", "description": "full name, e.g. Catalog.Products"}
	}
	return inline(record(fields, "cursor"))
}

func commandSchema(aggregate string, c es.CommandDefinition) *schema {
	return &schema{"command." + aggregate + "." + c.Name, c.Schema, nil}
}

// rowSchema is the view's schema with the row's id.
func rowSchema(d es.ReadModelDefinition) (*schema, error) {
	var doc, properties map[string]any
	err := json.Unmarshal(d.Schema, &doc)
	if err == nil {
		properties, _ = doc["properties"].(map[string]any)
	}
	if _, taken := properties["id"]; err != nil || properties == nil || taken {
		return nil, fmt.Errorf("read model %s: its schema must be an object's, without a property id: %s", d.Name, d.Schema)
	}
	required, _ := doc["required"].([]any)
	properties["id"] = text
	doc["required"] = append([]any{"id"}, required...)
	return &schema{"row." + d.Name, doc, nil}, nil
}

func historySchema(d es.AggregateDefinition) *schema {
	item := &schema{name: "history." + d.Name}
	var kinds []any
	for _, e := range d.Events {
		data := &schema{"event." + d.Name + "." + e.Name, e.Schema, nil}
		item.uses = append(item.uses, data)
		kinds = append(kinds, object{"properties": object{"type": object{"const": e.Name}, "data": data.ref()}})
	}
	doc := record(object{
		"version": object{"type": "integer", "minimum": 1, "description": "the event's place in its stream"},
		"type":    text, "data": anyJSON, "time": instant, "user": text,
		"messageId": text, "correlationId": text, "causationId": text,
	}, "messageId", "correlationId", "causationId")
	doc["anyOf"] = kinds
	item.doc = doc
	return pageSchema(item)
}

// openAPI is the document that describes every endpoint.
func (a *api) openAPI() ([]byte, error) {
	schemas, responses, paths := object{}, object{}, map[string]object{}
	problemSchema.collect(schemas)
	schemes, required := a.Identity.schemes()
	security := []object{}
	if !required {
		security = append(security, object{})
	}
	all := object{} // one requirement with all of them: they are used together
	for name := range schemes {
		all[name] = []string{}
	}
	security = append(security, all)
	for _, e := range a.endpoints {
		e.payload.collect(schemas)
		e.answers.collect(schemas)
		op := object{
			"operationId": e.name, "summary": e.summary, "tags": []string{e.tag},
			"parameters": e.parameters(), "responses": a.responses(e, responses),
		}
		if e.payload != nil {
			op["requestBody"] = object{"required": !e.bodyOptional, "content": object{"application/json": object{"schema": e.payload.ref()}}}
		}
		if e.file {
			op["requestBody"] = object{"required": true, "content": object{"text/csv": object{"schema": object{"type": "string"}}}}
		}
		if e.allow != nil {
			op["security"] = security
		}
		if paths[e.path] == nil {
			paths[e.path] = object{}
		}
		paths[e.path][strings.ToLower(e.method)] = op
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info":    object{"title": cmp.Or(a.Title, "Plugins"), "version": a.Version, "description": "Commands, views and operations of the plugins."},
		"servers": []object{{"url": "./"}}, // wherever this document is
		"paths":   paths,
		"components": object{
			"schemas": schemas, "responses": responses, "securitySchemes": schemes,
			"parameters": headerParameters, "headers": answerHeaders,
		},
	})
}

var headerParameters = object{
	"correlationId":  headerParameter("X-Correlation-Id", "joins all that the request sets off; made where it is absent", object{"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[ -~]+$"}),
	"idempotencyKey": headerParameter("Idempotency-Key", "the command's id, per user and aggregate: sent again, it takes effect once. A command that changed nothing, accepted or refused, is not remembered, and judged again: send If-Match, too, where that matters", object{"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[ -~]+$"}),
	"ifMatch":        headerParameter("If-Match", "refuses the command unless the aggregate has this version", object{"type": "string", "pattern": `^"(0|[1-9][0-9]{0,17})"$`}),
	"ifNoneMatch":    headerParameter("If-None-Match", "the ETag of the row that the caller has", text),
	"traceparent":    headerParameter("traceparent", "W3C Trace Context", text),
}

func headerParameter(name, about string, schema object) object {
	return object{"name": name, "in": "header", "description": about, "schema": schema}
}

var answerHeaders = object{
	"correlationId": object{"description": "the request's, or the one that was made", "schema": text},
	"etag":          object{"description": "the aggregate's version in quotes", "schema": text},
	"retryAfter":    object{"description": "seconds to wait", "schema": count},
	"location":      object{"description": "where the report can be fetched", "schema": text},
}

func (e *endpoint) parameters() []any {
	out := []any{object{"$ref": "#/components/parameters/correlationId"}}
	refer := func(names ...string) {
		for _, n := range names {
			out = append(out, object{"$ref": "#/components/parameters/" + n})
		}
	}
	if e.id != nil {
		out = append(out, object{"name": "id", "in": "path", "required": true, "schema": e.id.schema, "description": e.id.rule})
	}
	for _, q := range e.query {
		out = append(out, object{"name": q.name, "in": "query", "schema": q.schema, "description": q.about})
	}
	switch {
	case e.command:
		refer("idempotencyKey", "ifMatch", "traceparent")
	case e.etag:
		refer("ifNoneMatch")
	}
	return out
}

// responses are the endpoint's; those of problems are components, added to shared.
func (a *api) responses(e *endpoint, shared object) object {
	headers := func(names ...string) object {
		h := object{"X-Correlation-Id": object{"$ref": "#/components/headers/correlationId"}}
		for i := 0; i < len(names); i += 2 {
			h[names[i]] = object{"$ref": "#/components/headers/" + names[i+1]}
		}
		return h
	}
	ok := object{"description": "the answer", "headers": headers()}
	out := object{"200": ok}
	if e.etag {
		ok["headers"] = headers("ETag", "etag")
		if e.method == http.MethodGet {
			out["304"] = object{"description": "the caller has this version", "headers": headers("ETag", "etag")}
		}
	}
	if e.answers != nil {
		ok["content"] = object{"application/json": object{"schema": e.answers.ref()}}
	} else {
		ok["content"] = object{"text/csv": object{"schema": text}}
		out["302"] = object{"description": "the report is elsewhere", "headers": headers("Location", "location")}
	}
	refuses := append([]int{400, 500}, e.refuses...)
	if e.allow != nil {
		refuses = append(refuses, 401, 403, 503)
	}
	if a.Hosts != nil {
		refuses = append(refuses, 421)
	}
	for _, status := range refuses {
		name := strings.ReplaceAll(http.StatusText(status), " ", "")
		out[strconv.Itoa(status)] = object{"$ref": "#/components/responses/" + name}
		h := headers()
		if status == http.StatusServiceUnavailable {
			h = headers("Retry-After", "retryAfter")
		}
		shared[name] = object{
			"description": http.StatusText(status), "headers": h,
			"content": object{"application/problem+json": object{"schema": problemSchema.ref()}},
		}
	}
	return out
}
