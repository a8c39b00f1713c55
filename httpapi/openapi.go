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
	required := slices.AppendSeq([]string{}, maps.Keys(fields)) // not nil: null is no list
	slices.Sort(required)
	required = slices.DeleteFunc(required, func(name string) bool { return slices.Contains(optional, name) })
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
	commandAnswer  = inline(object{"oneOf": []any{outcomeSchema.ref(), previewSchema.ref()}}, outcomeSchema, previewSchema)
	progressSchema = &schema{"Progress", record(object{
		"done": count,
		"next": object{"type": "string", "description": "where the next step goes on; absent at the end"},
		"differences": object{
			"type": "array", "description": "of a check: where stored rows are not what their logs say; absent: nowhere",
			"items": record(object{
				"id":     text,
				"field":  object{"type": "string", "description": "owner() is whose the row is; absent: the row as a whole"},
				"stored": object{"description": "absent: there is none"}, "folded": object{"description": "absent: there is none"},
				"reason": object{"type": "string", "description": "why the row can't be folded"},
			}, "field", "stored", "folded", "reason"),
		},
		"more": object{"type": "integer", "minimum": 1, "description": "how many are not in differences, which is cut at 1 MiB"},
	}, "next", "differences", "more"), nil}
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
		"next": object{"type": "string", "format": "date-time", "description": "when the shop tries it again by itself, or soon after"},
	}), nil})
	rejectionsSchema = pageSchema(&schema{"Rejection", record(object{
		"follower": text, "stream": text, "seq": count,
		"target": object{"type": "string", "description": "the stream whose rule refused the command; absent if an operator skipped the commit"},
		"code":   text, "detail": text, "time": instant, "correlationId": text,
		"user": object{"type": "string", "description": "who skipped it"},
	}, "target", "correlationId", "user"), nil})
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
				"failed":   object{"type": "integer", "minimum": 0, "description": "runs of a side effect or task that failed in the latest 24 hours; absent: none"},
				"rejected": object{"type": "integer", "minimum": 0, "description": "a follower's commands that were refused, or skipped, in the latest 24 hours, at most 1,000; absent: none"},
				"stale":    object{"type": "boolean", "description": "the rows of a view are being folded by new code: lists have what was there before; absent: they are up to date"},
				"refolded": record(object{"done": count, "of": object{"type": "integer", "minimum": 0, "description": "absent: not counted"}}, "of"),
			}, "failed", "rejected", "stale", "refolded")),
		}, "lastHeartbeat")),
	}, "problems"), nil}
	manifestSchema = &schema{"Manifest", record(object{"version": text, "plugins": listOf(record(object{
		"name": text, "heartbeatIntervalSeconds": number, "uiBundleUrl": text,
		"aggregates": listOf(record(object{
			"name": text, "path": text, "internal": boolean,
			"commands": listOf(record(object{
				"name": text, "path": text, "access": accessSchema, "schema": anyJSON,
				"help":    object{"type": "string", "description": "one line for people"},
				"creates": object{"type": "boolean", "description": "may be sent to an id that is not there yet"},
				"changes": object{"type": "boolean", "description": "may be sent to one that is"}, "destructive": object{"type": "boolean", "description": "ends something for good"},
				"erases": object{"type": "array", "items": text, "description": "the personal fields that are gone for good after it; absent: none"},
			}, "help", "erases")),
			"events": eventsSchema,
		})),
		"readModels": listOf(record(object{
			"name": text, "kind": kindSchema, "path": text, "sources": texts, "indexes": texts, "sorts": texts, "searches": texts, "access": accessSchema, "schema": anyJSON,
			"aggregate": object{"type": "string", "description": "what a row's id names: its commands act on the row; absent: a row's id is a key"},
			"label":     object{"type": "string", "description": "the field that names a row for people; absent: its id does"},
			"items":     object{"type": "string", "description": "path of the rows below one id, with {id}; absent: a row is an id's own"},
		}, "aggregate", "label", "items")),
		"mappings": listOf(record(object{
			"name": text, "source": text, "target": text, "delaySeconds": number,
			"due":        object{"type": "boolean", "description": "it acts when its event says, not after a delay"},
			"onRejected": hearsOfRejections,
		}, "due", "onRejected")),
		"extensionPoints": listOf(record(object{"name": text, "source": text, "sources": texts, "events": eventsSchema})),
		"asks":            listOf(record(object{"name": text, "source": text, "sources": texts, "events": eventsSchema})),
		"extensions": listOf(record(object{
			"name": text, "point": text, "target": text,
			"accepts":    object{"type": "boolean", "description": "it takes what other plugins ask of the point, which is its own plugin's"},
			"onRejected": hearsOfRejections,
		}, "accepts", "onRejected")),
		"sideEffects": listOf(record(object{
			"name": text, "task": text,
			"source": object{"type": "string", "description": "the aggregate that it hears of; absent: it hears of point"},
			"point":  object{"type": "string", "description": "the extension point that it hears of"},
			"reads":  readsSchema,
		}, "source", "point", "reads")),
		"tasks": listOf(record(object{
			"name": text, "bucket": text, "report": text, "upload": text,
			"files":   object{"type": "string", "description": "path of a report that a schedule has written, with {id}, its key"},
			"view":    object{"type": "string", "description": "the read model that says what became of each object"},
			"example": object{"type": "string", "description": "the text of an object to start from"},
			"schedules": listOf(record(object{
				"name": text, "cron": cronSchema, "everySeconds": everySchema, "timeZone": text,
			}, "cron", "everySeconds", "timeZone")),
			"sends": object{"type": "array", "items": text, "description": "the aggregates that it sends commands to; absent: it may send to any of its plugin"},
			"reads": readsSchema,
		}, "bucket", "view", "report", "upload", "files", "example", "schedules", "sends", "reads")),
	}, "uiBundleUrl"))}), nil}
	kindSchema        = object{"type": "string", "enum": []es.ViewKind{es.ViewRows, es.ViewItems, es.ViewKeyed}, "description": "rows: one for each id of an aggregate; items: any number below each, by sub-ids; keyed: one for each key, merged of parts of many aggregates"}
	hearsOfRejections = object{"type": "string", "description": "the aggregate that is sent a command where this one's is refused; absent: none"}
	readsSchema       = object{"type": "array", "items": text, "description": "the read models that it reads, and the aggregates whose ids it lists; absent: none"}
	accessSchema      = record(object{"groups": texts, "owner": boolean})
	eventsSchema      = listOf(record(object{"name": text, "version": count, "schema": anyJSON}))
)

func pageSchema(item *schema) *schema {
	return inline(record(object{
		"items": listOf(item.ref()),
		"next":  object{"type": "string", "description": "the next page's cursor; absent on the last page"},
	}, "next"), item)
}

// The bodies of operations' steps.
var (
	stepCursor    = object{"type": "string", "minLength": 1, "description": "the previous step's next"}
	stepSchema    = inline(record(object{"cursor": stepCursor}, "cursor"))
	rebuildSchema = inline(record(object{"cursor": stepCursor, "readModel": object{"type": "string", "description": "full name, e.g. Catalog.Products"},
		"check": object{"type": "boolean", "description": "compare the rows with what their logs say, and change nothing"},
	}, "cursor", "check"))
	redriveSchema = inline(record(object{
		"cursor":   stepCursor,
		"consumer": object{"type": "string", "description": "with stream: of one key, as it is listed"},
		"stream":   text,
	}, "cursor", "consumer", "stream"))
	runSchema = inline(record(object{
		"schedule": object{"type": "string", "description": "full name, e.g. Inventory.CountStock.Nightly"},
	}))
	skipSchema = inline(record(object{
		"consumer": text, "stream": text, "reason": object{"type": "string", "minLength": 1, "description": "is kept in the shop's log, with who skips"},
	}))
)

func commandSchema(aggregate string, c es.CommandDefinition) *schema {
	return &schema{"command." + aggregate + "." + c.Name, c.Schema, nil}
}

// rowSchema is the view's schema with the row's id, and where it is below that, its sub-id.
func rowSchema(d es.ReadModelDefinition) (*schema, error) {
	var doc, properties map[string]any
	err := json.Unmarshal(d.Schema, &doc)
	if err == nil {
		properties, _ = doc["properties"].(map[string]any)
	}
	ids := []any{"id"}
	if d.Kind == es.ViewItems {
		ids = append(ids, "subId")
	}
	required, _ := doc["required"].([]any)
	for _, id := range ids {
		if _, taken := properties[id.(string)]; err != nil || properties == nil || taken {
			return nil, fmt.Errorf("read model %s: its schema must be an object's, without a property %s: %s", d.Name, id, d.Schema)
		}
		properties[id.(string)] = text
	}
	doc["required"] = append(ids, required...)
	return &schema{"row." + d.Name, doc, nil}, nil
}

func historySchema(d es.AggregateDefinition) *schema {
	item := &schema{name: "history." + d.Name}
	var kinds []any
	for _, e := range d.Events {
		data := &schema{"event." + d.Name + "." + e.Name, withoutErased(e), nil}
		item.uses = append(item.uses, data)
		kinds = append(kinds, object{"properties": object{"type": object{"const": e.Name}, "data": data.ref()}})
	}
	doc := record(object{
		"version": object{"type": "integer", "minimum": 1, "description": "the event's place in its stream"},
		"type":    text, "data": anyJSON, "time": instant, "user": text,
		"messageId": text, "correlationId": text, "causationId": text,
		"erased": object{"type": "array", "items": text, "description": "members that the data lacks, since their subject was erased; absent: none"},
	}, "messageId", "correlationId", "causationId", "erased")
	doc["anyOf"] = kinds
	item.doc = doc
	return pageSchema(item)
}

// withoutErased is the schema of an event whose subject may be erased: what is personal may
// be absent.
func withoutErased(e es.EventDefinition) any {
	var doc map[string]any
	if len(e.Personal) == 0 || json.Unmarshal(e.Schema, &doc) != nil {
		return e.Schema
	}
	required, _ := doc["required"].([]any)
	required = slices.DeleteFunc(required, func(name any) bool { return slices.Contains(e.Personal, name.(string)) })
	if doc["required"] = required; len(required) == 0 {
		delete(doc, "required")
	}
	return doc
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
		if e.large {
			op["requestBody"] = object{"required": true, "content": object{"application/octet-stream": object{}}}
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
	"prefer":         headerParameter("Prefer", "dry-run: the same checks and rejections, and the answer is what would be appended; nothing is, and no key is remembered (RFC 7240)", text),
	"ifNoneMatch":    headerParameter("If-None-Match", "the ETag of the answer that the caller has: where nothing changed since, there is a 304 and no body", text),
	"traceparent":    headerParameter("traceparent", "W3C Trace Context", text),
}

func headerParameter(name, about string, schema object) object {
	return object{"name": name, "in": "header", "description": about, "schema": schema}
}

var answerHeaders = object{
	"correlationId": object{"description": "the request's, or the one that was made", "schema": text},
	"etag":          object{"description": "the aggregate's version in quotes", "schema": text},
	"bodyTag":       object{"description": "changes with what the answer says; weak", "schema": text},
	"retryAfter":    object{"description": "seconds to wait", "schema": count},
	"stale":         object{"description": "rows are being folded by new code, and some may be as they were before; absent: none", "schema": object{"const": "true"}},
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
		refer("idempotencyKey", "ifMatch", "prefer", "traceparent")
	case e.tagged():
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
	tag := "bodyTag"
	if e.etag {
		tag = "etag"
		ok["headers"] = headers("ETag", tag)
	}
	if e.tagged() {
		ok["headers"] = headers("ETag", tag)
		out["304"] = object{"description": "the caller has this answer", "headers": headers("ETag", tag)}
	}
	if e.rows {
		h, _ := ok["headers"].(object)
		h["Stale"] = object{"$ref": "#/components/headers/stale"}
	}
	switch {
	case e.answers != nil:
		ok["content"] = object{"application/json": object{"schema": e.answers.ref()}}
	case e.text != "":
		ok["content"] = object{e.text: object{"schema": text}}
	default:
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
