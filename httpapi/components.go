package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/es/wire"
)

// addPlugins adds what the plugins' definitions declare.
func (a *api) addPlugins() error {
	seen := map[string]string{"operations": "the operations", "console": "the console"}
	for _, p := range a.Plugins {
		base := "/" + naming.PathSegment(p.Name)
		// An aggregate and a read model share no path even where their methods differ:
		// a reader of the address would not know which one it names.
		claim := func(path, name string) error {
			if other := seen[path]; other != "" {
				return fmt.Errorf("%s and %s have the same path /%s", other, name, path)
			}
			seen[path] = name
			return nil
		}
		if err := claim(base[1:], "plugin "+p.Name); err != nil {
			return err
		}
		for _, x := range p.Aggregates {
			d := x.Definition()
			if err := errors.Join(claim(base[1:]+"/"+naming.PathSegment(naming.Short(d.Name)), d.Name), a.addAggregate(base, p, d)); err != nil {
				return err
			}
		}
		for _, x := range p.ReadModels {
			d := x.Definition()
			d.Name = naming.Full(p.Name, d.Name)
			if err := errors.Join(claim(base[1:]+"/"+naming.PathSegment(x.Name()), d.Name), a.addReadModel(base, p, d)); err != nil {
				return err
			}
		}
		for _, t := range p.Tasks {
			if t.Reports == nil {
				if len(t.Schedules) > 0 && a.Reports != nil {
					task := naming.Full(p.Name, t.Name)
					if err := errors.Join(claim(base[1:]+"/"+naming.PathSegment(t.Name), task), a.addFiles(base, p, t)); err != nil {
						return err
					}
				}
				continue
			}
			if a.Uploads != nil {
				if err := a.addUploads(base, p, t); err != nil {
					return err
				}
			}
			if t.Check != nil {
				if err := a.addCheck(base, p, t); err != nil {
					return err
				}
			}
			if a.Reports == nil {
				continue
			}
			if err := a.addReports(base, p, t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *api) addAggregate(base string, p es.Plugin, d es.AggregateDefinition) error {
	list := base + "/" + naming.PathSegment(naming.Short(d.Name))
	at := list + "/" + idSegment + "/"
	errs := []error{a.addInspection(list, p, d)}
	if !d.Internal {
		for _, cmd := range d.Commands {
			if cmd.Internal {
				continue
			}
			errs = append(errs, a.add(&endpoint{
				method: http.MethodPost, path: at + naming.PathSegment(cmd.Name), tag: p.Name, name: d.Name + "." + cmd.Name,
				summary: cmd.Name + " of the aggregate " + d.Name,
				allow:   func(c es.Caller) error { return a.Engine.Authorize(c, d.Name, cmd.Name) },
				id:      commandID, command: true, body: true, payload: commandSchema(d.Name, cmd), bodyOptional: cmd.Empty,
				answers: commandAnswer, etag: true,
				refuses: []int{404, 409, 412, 413, 415, 422},
				serve:   func(c *call) (*answer, error) { return a.execute(c, d, cmd.Name) },
			}))
		}
	}
	errs = append(errs, a.add(&endpoint{
		method: http.MethodGet, path: at + "events", tag: p.Name, name: d.Name + "-events",
		summary: "The history of one " + d.Name, allow: admin, id: anyID,
		query: []parameter{limitParameter, cursorParameter, fromParameter}, answers: historySchema(d), refuses: []int{422},
		serve: func(c *call) (*answer, error) { return a.history(c, d.Name) },
	}))
	return errors.Join(errs...)
}

func admin(c es.Caller) error {
	if !c.In(es.Admin) {
		return engine.ErrForbidden.Because("this is for members of %s", es.Admin)
	}
	return nil
}

// outcome is a command's answer.
type outcome struct {
	Aggregate string   `json:"aggregate"`
	ID        string   `json:"id"`
	Version   int64    `json:"version"`
	Events    []string `json:"events"`
}

func (a *api) execute(c *call, d es.AggregateDefinition, command string) (*answer, error) {
	payload, err := d.ReadCommand(command, c.body)
	if err != nil {
		return nil, err
	}
	r := engine.Request{
		Command: es.Command{Aggregate: d.Name, ID: c.id, Payload: payload}, Caller: c.caller,
		IdempotencyKey: c.key, IfVersion: c.ifVersion, CorrelationID: c.correlation, Traceparent: c.traceparent,
	}
	send := a.send
	if c.prefersDryRun() {
		send = a.preview
	}
	out, err := send(c, d, r)
	var no *es.Rejection
	if errors.As(err, &no) && no.Detail == "" { // the domain's code says why, not of what
		err = no.Because("%s of %s %q: %s", command, d.Name, c.id, strings.ToLower(title(no.Code)))
	}
	return out, err
}

func (a *api) send(c *call, d es.AggregateDefinition, r engine.Request) (*answer, error) {
	o, err := a.Engine.Execute(c.Context(), r)
	if err != nil {
		return nil, err
	}
	c.header.Set("ETag", etag(o.Version))
	return &answer{body: marshal(outcome{d.Name, c.id, o.Version, append([]string{}, o.Events...)})}, nil
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// page is a list's answer.
type page struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next,omitempty"`
}

func (a *api) history(c *call, aggregate string) (*answer, error) {
	var err error
	if c.version != nil && c.cursor == "" {
		if c.cursor, err = a.Engine.HistoryCursor(c.Context(), aggregate, c.id, *c.version); err != nil {
			return nil, err
		}
	}
	events, next, err := a.Engine.History(c.Context(), aggregate, c.id, c.cursor, c.limit)
	if err != nil {
		return nil, err
	}
	type event struct {
		Version       int64           `json:"version"`
		Type          string          `json:"type"`
		Data          json.RawMessage `json:"data"`
		Time          string          `json:"time"`
		User          string          `json:"user"`
		MessageID     string          `json:"messageId,omitempty"`
		CorrelationID string          `json:"correlationId,omitempty"`
		CausationID   string          `json:"causationId,omitempty"`
		Erased        []string        `json:"erased,omitempty"`
	}
	p := page{Items: []json.RawMessage{}}
	for _, e := range events {
		p.Items = append(p.Items, marshal(event{
			e.Number, e.Type, e.Data, es.FormatTime(e.Meta.Time), e.Meta.User,
			e.Meta.MessageID, e.Meta.CorrelationID, e.Meta.CausationID, e.Erased,
		}))
	}
	if p.Next, err = c.encodeCursor(next); err != nil {
		return nil, err
	}
	return &answer{body: marshal(p)}, nil
}

func (a *api) addReadModel(base string, p es.Plugin, d es.ReadModelDefinition) error {
	allow := func(c es.Caller) error { return a.Engine.AuthorizeView(c, d.Name) }
	row, err := rowSchema(d)
	if err != nil {
		return err
	}
	list := &endpoint{
		method: http.MethodGet, path: base + "/" + naming.PathSegment(naming.Short(d.Name)), tag: p.Name, name: d.Name + "-list",
		summary: "The rows of " + d.Name, allow: allow,
		query: []parameter{limitParameter, cursorParameter}, answers: pageSchema(row), rows: true,
		owner: func(c es.Caller) string {
			if d.Access.Admits(c) {
				return ""
			}
			return c.User
		},
		serve: func(c *call) (*answer, error) { return a.list(c, d) },
	}
	for _, field := range d.Indexes {
		list.query = append(list.query, filter(field))
	}
	selects, err := selection(d)
	if err != nil {
		return err
	}
	list.query = append(list.query, selects...)
	if d.Kind == es.ViewItems {
		return errors.Join(a.add(list), a.add(a.itemsOf(list, d, row)))
	}
	single := len(d.Sources) == 1 && d.Kind == es.ViewRows
	query, without := []parameter{minVersionParameter, versionParameter}, map[string]string(nil)
	switch {
	case d.Kind == es.ViewKeyed:
		const why = "a row of %s is of many aggregates, each with a version of its own"
		query, without = nil, map[string]string{"version": fmt.Sprintf(why, d.Name), "minVersion": fmt.Sprintf(why, d.Name)}
	case !single:
		query = query[:1]
		without = map[string]string{"version": fmt.Sprintf("a row of %s is of several aggregates, %s, so it has no one version", d.Name, strings.Join(d.Sources, " and "))}
	}
	return errors.Join(a.add(list), a.add(&endpoint{
		method: http.MethodGet, path: list.path + "/" + idSegment, tag: p.Name, name: d.Name,
		summary: "One row of " + d.Name, allow: allow, id: anyID,
		query: query, without: without, answers: row, etag: single, untagged: !single, rows: d.Kind == es.ViewKeyed, refuses: []int{404, 409, 422},
		serve: func(c *call) (*answer, error) {
			row, err := a.row(c, d)
			if err != nil {
				return nil, err
			}
			if single {
				tag := etag(row.At[d.Sources[0]].Version)
				c.header.Set("ETag", tag)
				if c.has(tag) {
					return &answer{status: http.StatusNotModified}, nil
				}
			}
			return &answer{body: append(item(row), '\n')}, nil
		},
	}))
}

// row is a row of the model as it is, or as it was at a version.
func (a *api) row(c *call, d es.ReadModelDefinition) (row engine.Row, err error) {
	switch {
	case d.Kind == es.ViewKeyed: // it can't be folded alone
		err = a.tellingStale(c, d.Name, func() (err error) {
			row, err = a.Engine.Row(c.Context(), c.caller, d.Name, c.id, nil)
			return err
		})
		return row, err
	case c.version == nil:
		return a.Engine.Row(c.Context(), c.caller, d.Name, c.id, c.minVersion)
	case c.minVersion != nil:
		return engine.Row{}, errMalformed.Because("ask for a version or a minVersion, not for both")
	}
	return a.Engine.RowAt(c.Context(), c.caller, d.Name, c.id, *c.version)
}

// tellingStale reads rows, and says with the answer if other code may have made them.
func (a *api) tellingStale(c *call, model string, read func() error) error {
	stale, err := a.Engine.Stale(c.Context(), model) // before the rows are read
	if err == nil {
		err = read()
	}
	if err == nil && stale {
		c.header.Set("Stale", "true")
	}
	return err
}

func (a *api) list(c *call, d es.ReadModelDefinition) (*answer, error) {
	q := c.selection
	q.Model, q.Field, q.Value, q.Limit, q.Cursor = d.Name, c.field, c.value, c.limit, c.cursor
	var rows []engine.Row
	var next string
	err := a.tellingStale(c, d.Name, func() (err error) {
		rows, next, err = a.Engine.List(c.Context(), c.caller, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	p := page{Items: []json.RawMessage{}}
	if p.Next, err = c.encodeCursor(next); err != nil {
		return nil, err
	}
	show := item
	if d.Kind == es.ViewItems {
		show = itemBelow
	}
	for _, row := range rows {
		p.Items = append(p.Items, show(row))
	}
	return &answer{body: marshal(p)}, nil
}

// item is a row as callers see it: its id, then the view's fields.
func item(row engine.Row) []byte {
	return view(wire.AppendString([]byte(`{"id":`), row.ID), row)
}

// view adds the view's fields to an object that has begun.
func view(b []byte, row engine.Row) []byte {
	fields := row.View[1:] // without the brace
	if string(fields) != "}" {
		b = append(b, ',')
	}
	return append(b, fields...)
}

// checked is what a check answers.
type checked struct {
	ID        string       `json:"id"`
	Status    string       `json:"status"` // finished or, as a whole, rejected
	Reason    string       `json:"reason,omitempty"`
	Note      string       `json:"note,omitempty"`
	Rows      int          `json:"rows"`
	Added     int          `json:"added"`
	Unchanged int          `json:"unchanged"`
	Rejected  int          `json:"rejected"`
	Outcomes  []checkedRow `json:"outcomes"`
	More      int          `json:"more,omitempty"` // rows that are not in outcomes
}

// maxOutcomes is how many bytes of rows a check answers: a Lambda function's answer
// has 6 MB at most.
const maxOutcomes = 4 << 20

type checkedRow struct {
	Line    int64  `json:"line"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
}

func (a *api) addCheck(base string, p es.Plugin, t es.Task) error {
	task := naming.Full(p.Name, t.Name)
	return a.add(&endpoint{
		method: http.MethodPost, path: base + "/" + naming.PathSegment(t.Reports.Name()) + "/" + idSegment + "/check", tag: p.Name, name: task + "-check",
		summary: "What the task " + task + " would make of a file, row by row; nothing is done", allow: admin, id: anyID,
		body: true, file: true, query: []parameter{encodingParameter}, answers: checkedSchema, refuses: []int{413, 415, 422},
		serve: func(c *call) (*answer, error) {
			o := es.Object{Key: c.id, Size: int64(len(c.body)), Charset: c.value}
			o.Open = func(_ context.Context, offset int64) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(c.body[min(offset, o.Size):])), nil
			}
			told, err := a.Engine.Check(c.Context(), p.Name, t, o)
			if err != nil {
				return nil, err
			}
			out := checked{ID: c.id, Status: "finished", Reason: told.Refused, Note: told.Note, Rows: len(told.Rows), Outcomes: make([]checkedRow, 0, len(told.Rows))}
			if told.Refused != "" {
				out.Status = "rejected"
			}
			size := 0
			for _, r := range told.Rows {
				switch r.Outcome {
				case es.RowAdded:
					out.Added++
				case es.RowUnchanged:
					out.Unchanged++
				default:
					out.Rejected++
				}
				if size += len(r.Outcome) + len(r.Reason) + 50; size > maxOutcomes {
					out.More++
					continue
				}
				out.Outcomes = append(out.Outcomes, checkedRow(r))
			}
			return &answer{body: marshal(out)}, nil
		},
	})
}

// filesPath is where the reports are that a task's schedules write.
func filesPath(base string, t es.Task) string {
	return base + "/" + naming.PathSegment(t.Name) + "/" + idSegment + "/report"
}

func (a *api) addFiles(base string, p es.Plugin, t es.Task) error {
	task := naming.Full(p.Name, t.Name)
	return a.add(&endpoint{
		method: http.MethodGet, path: filesPath(base, t), tag: p.Name, name: task + "-report",
		summary: "A report of the task " + task + ", by the key that its schedule gives it", allow: admin, id: anyID, refuses: []int{404, 422},
		serve: func(c *call) (*answer, error) { return a.report(c, task, path.Base(c.id)) },
	})
}

// report answers a report of a task, to be kept under that name.
func (a *api) report(c *call, task, name string) (*answer, error) {
	r, err := a.Reports.Report(c.Context(), task, c.id)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return nil, engine.ErrNotFound.Because("there is no report for %q", c.id)
	case err != nil:
		return nil, fmt.Errorf("report of %s for %q: %w", task, c.id, err)
	case r.Body == nil:
		c.header.Set("Location", r.URL)
		return &answer{status: http.StatusFound}, nil
	}
	c.header.Set("Content-Type", "text/csv; charset=utf-8")
	c.header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	return &answer{stream: r.Body}, nil
}

func (a *api) addReports(base string, p es.Plugin, t es.Task) error {
	task := naming.Full(p.Name, t.Name)
	return a.add(&endpoint{
		method: http.MethodGet, path: base + "/" + naming.PathSegment(t.Reports.Name()) + "/" + idSegment + "/report", tag: p.Name, name: task + "-report",
		summary: "What the task " + task + " reports about one object", allow: admin, id: anyID, refuses: []int{404, 422},
		serve: func(c *call) (*answer, error) {
			// What is stored may be of an object that was replaced since.
			has, err := a.reported(c, naming.Full(p.Name, t.Reports.Name()))
			if err != nil {
				return nil, err
			}
			if !has {
				return nil, engine.ErrNotFound.Because("there is no report for %q", c.id)
			}
			return a.report(c, task, reportName(c.id))
		},
	})
}

// reported says whether the row of the model says that there is a report. It is
// folded up to date: who was told of a report by the latest version finds it.
func (a *api) reported(c *call, model string) (bool, error) {
	latest := int64(0)
	row, err := a.Engine.Row(c.Context(), c.caller, model, c.id, &latest)
	var absent *es.Rejection
	if errors.As(err, &absent) && absent.Status == http.StatusNotFound {
		return false, nil
	}
	var view struct {
		Report json.RawMessage `json:"report"`
	}
	if err == nil {
		err = json.Unmarshal(row.View, &view)
	}
	return view.Report != nil, err
}

// attachment names the file that a report of the object is saved as:
// "june-report.csv" for "2026/june.csv".
func reportName(key string) string {
	name := path.Base(key)
	name = strings.TrimSuffix(name, path.Ext(name))
	return name + "-report.csv"
}
