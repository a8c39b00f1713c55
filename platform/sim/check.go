package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
)

// Operation is a user's command and what it was answered.
type Operation struct {
	Client  int
	Stream  engine.Stream
	Key     string // Idempotency-Key
	Payload any
	Called  int64 // step at which it was first sent
	Got     int64 // step of the answer
	Outcome engine.Outcome
	Err     error
}

// Client sends commands until they are answered, and notes what it saw.
type Client struct {
	ID      int
	World   *World
	History *[]Operation
}

// Send sends a command, again and again with the same key, to any process, until
// there is an answer.
func (c Client) Send(ctx context.Context, caller es.Caller, cmd es.Command, key string) {
	op := Operation{Client: c.ID, Stream: engine.Stream{Aggregate: cmd.Aggregate, ID: cmd.ID}, Key: key, Payload: cmd.Payload, Called: c.World.Steps}
	for {
		out, err := c.World.Process().Execute(ctx, engine.Request{Command: cmd, Caller: caller, IdempotencyKey: key})
		var no *es.Rejection
		if err == nil || errors.As(err, &no) && no.Status != 503 {
			op.Outcome, op.Err, op.Got = out, err, c.World.Steps
			*c.History = append(*c.History, op)
			return
		}
		c.World.step(ctx)
	}
}

// Definitions are the world's aggregates by name.
func (w *World) Definitions() map[string]es.AggregateDefinition {
	if w.defined == nil {
		w.defined = map[string]es.AggregateDefinition{}
		for _, p := range w.Plugins {
			for _, a := range p.Aggregates {
				d := a.Definition()
				w.defined[d.Name] = d
			}
		}
	}
	return w.defined
}

// Log is a stream's commits.
func (w *World) Log(s engine.Stream) []engine.Commit { return w.store.Commits(s) }

// StreamsOf are the ids of an aggregate's streams.
func (w *World) StreamsOf(aggregate string) (ids []string) {
	for _, s := range w.store.AllStreams() {
		if s.Aggregate == aggregate {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Parked are the keys that are parked.
func (w *World) Parked() (keys []string) {
	for _, p := range w.store.AllParked() {
		keys = append(keys, p.Consumer+" "+p.Stream.String())
	}
	return keys
}

// Fold is a stream's events, decoded, and its state.
func (w *World) Fold(d es.AggregateDefinition, id string) (events []es.Recorded[any], state any, err error) {
	state = d.Initial
	log, err := w.OpenedLog(engine.Stream{Aggregate: d.Name, ID: id})
	if err != nil {
		return nil, nil, err
	}
	for _, c := range log {
		for i, s := range c.Events {
			decoded, err := d.DecodeEvent(s.Type, s.Version, s.Data)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", c.Stream, err)
			}
			for _, e := range decoded {
				events = append(events, es.Recorded[any]{
					ID: id, Event: e, Version: c.Version - int64(len(c.Events)) + int64(i) + 1, Time: c.Meta.Time,
					Meta: es.Meta{MessageID: c.Meta.MessageID, CorrelationID: c.Meta.CorrelationID, CausationID: c.Meta.CausationID, User: c.Meta.User, Owner: c.Meta.Owner, Service: c.Meta.Service},
				})
				state = d.Evolve(e, state)
			}
		}
	}
	return events, state, nil
}

// CheckLogs holds every stream to its form: no gap, versions that count the
// events, time that never goes back, one commit per command. A user's key is
// remembered for the latest commits of its aggregate, as many as Memory says; a
// follower's command for ever.
func (w *World) CheckLogs() error {
	for _, s := range w.store.AllStreams() {
		log, version := w.Log(s), int64(0)
		ids := map[engine.CommandID]int64{}
		for i, c := range log {
			version += int64(len(c.Events))
			if c.Seq != int64(i) || c.Version != version || len(c.Events) == 0 {
				return fmt.Errorf("%s at %d: seq %d, version %d (want %d), %d events", s, i, c.Seq, c.Version, version, len(c.Events))
			}
			if i > 0 && c.Meta.Time.Before(log[i-1].Meta.Time) {
				return fmt.Errorf("%s at %d: its time is before its predecessor's", s, i)
			}
			before, twice := ids[c.Meta.Command]
			if forgotten := isKey(c.Meta.Command) && c.Seq-before > int64(w.Memory); twice && !forgotten {
				return fmt.Errorf("%s at %d: the command %v took effect at %d already", s, i, c.Meta.Command, before)
			}
			ids[c.Meta.Command] = c.Seq
		}
	}
	return nil
}

// CheckRejections holds kept rejections to be final: no command that was rejected took
// effect.
func (w *World) CheckRejections() error {
	for _, r := range w.store.AllRejections() {
		for _, c := range w.Log(r.Target) {
			if c.Meta.Command == r.Command {
				return fmt.Errorf("%s at %d: the command %v took effect, and was rejected: %s %s", r.Target, c.Seq, r.Command, r.Code, r.Detail)
			}
		}
	}
	return nil
}

// Rejections is how many commands to the stream were refused.
func (w *World) Rejections(of engine.Stream) (n int) {
	for _, r := range w.store.AllRejections() {
		if r.Target == of {
			n++
		}
	}
	return n
}

// isKey says whether the id is a user's Idempotency-Key's, not a follower's place.
func isKey(id engine.CommandID) bool { return strings.HasPrefix(id.Origin, "user:") }

// CheckViews compares every row with the canonical fold: each source's stream
// whole, in declared order.
func (w *World) CheckViews() error {
	aggregates := w.Definitions()
	rows := map[string]engine.Row{}
	all, err := w.rows()
	if err != nil {
		return err
	}
	for _, r := range all {
		rows[r.Model+"\n"+r.ID] = r
	}
	for _, p := range w.Plugins {
		for _, rm := range p.ReadModels {
			m := rm.Definition()
			name := naming.Full(p.Name, m.Name)
			if m.Kind != es.ViewRows {
				check := w.checkItems
				if m.Kind == es.ViewKeyed {
					check = w.checkKeyed
				}
				if err := check(name, m, rows); err != nil {
					return err
				}
				continue
			}
			ids := map[string]bool{}
			for _, s := range m.Sources {
				for _, id := range w.StreamsOf(s) {
					ids[id] = true
				}
			}
			for k := range rows {
				if of, id, _ := strings.Cut(k, "\n"); of == name {
					ids[id] = true
				}
			}
			for id := range ids {
				var view any
				owner := ""
				for _, s := range m.Sources {
					events, _, err := w.Fold(aggregates[s], id)
					if err != nil {
						return err
					}
					for _, e := range events {
						was := view
						if view = m.Project(s, e, view); was == nil && view != nil {
							owner = e.Meta.Owner
						}
					}
				}
				var want []byte
				if view != nil {
					var err error
					if want, err = m.Encode(view); err != nil {
						return err
					}
				}
				got := rows[name+"\n"+id]
				if string(got.View) != string(want) || view != nil && got.Owner != owner {
					return fmt.Errorf("row %s of %s is %s of %q, the logs say %s of %q", id, name, got.View, got.Owner, want, owner)
				}
			}
		}
	}
	return nil
}

// item is a row below a stream, or a part.
type item struct{ view, owner string }

// itemsOf folds each stream's rows, or parts, by the stream's id and their sub-ids.
func (w *World) itemsOf(m es.ReadModelDefinition) (map[string]map[string]item, error) {
	out := map[string]map[string]item{}
	source := w.Definitions()[m.Sources[0]]
	for _, id := range w.StreamsOf(source.Name) {
		events, _, err := w.Fold(source, id)
		if err != nil {
			return nil, err
		}
		views, owners := map[string]any{}, map[string]string{}
		for _, e := range events {
			for _, c := range m.ProjectItems(source.Name, e) {
				subIDs := []string{c.SubID}
				if c.All {
					subIDs = slices.Collect(maps.Keys(views))
				}
				for _, sub := range subIDs {
					if views[sub] = c.Apply(views[sub]); views[sub] == nil {
						delete(views, sub)
					}
					owners[sub] = e.Meta.Owner
				}
			}
		}
		out[id] = map[string]item{}
		for sub, v := range views {
			b, err := m.Encode(v)
			if err != nil {
				return nil, err
			}
			out[id][sub] = item{string(b), owners[sub]}
		}
	}
	return out, nil
}

// checkKeyed compares the rows of a keyed view with all parts of their keys.
func (w *World) checkKeyed(name string, m es.ReadModelDefinition, _ map[string]engine.Row) error {
	streams, err := w.itemsOf(m)
	if err != nil {
		return err
	}
	want := map[string]map[string]any{}
	for _, parts := range streams {
		for key, part := range parts {
			var fields map[string]any
			if err := json.Unmarshal([]byte(part.view), &fields); err != nil {
				return err
			}
			row := want[key]
			if row == nil {
				want[key] = fields
				continue
			}
			for _, merge := range m.Merges {
				switch was, is := row[merge.Field], fields[merge.Field]; {
				case merge.How == es.MergeSum:
					row[merge.Field] = was.(float64) + is.(float64)
				case (was.(string) < is.(string)) == (merge.How == es.MergeLast): // times, of one length
					row[merge.Field] = is
				}
			}
		}
	}
	got := map[string]map[string]any{}
	var failed error
	w.Do(func(ctx context.Context, p *Process) {
		for cursor, more := "", true; more && failed == nil; more = cursor != "" {
			var page []engine.Row
			page, cursor, failed = p.Engine.List(ctx, es.System(), engine.Query{Model: name, Limit: 3, Cursor: cursor})
			for _, r := range page {
				var fields map[string]any
				failed = errors.Join(failed, json.Unmarshal(r.View, &fields))
				got[r.ID] = fields
			}
		}
	})
	if failed != nil {
		return failed
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%s is %v, the logs say %v", name, got, want)
	}
	return nil
}

// checkItems compares the rows below streams with the fold of each stream.
func (w *World) checkItems(name string, m es.ReadModelDefinition, rows map[string]engine.Row) error {
	streams, err := w.itemsOf(m)
	if err != nil {
		return err
	}
	want, got := map[string]item{}, map[string]item{}
	for id, items := range streams {
		for sub, i := range items {
			want[engine.ItemID(id, sub)] = i
		}
	}
	for _, r := range rows {
		if r.Model != name {
			continue
		}
		if _, sub := engine.SplitItemID(r.ID); sub != "" {
			got[r.ID] = item{string(r.View), r.Owner}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if got[id] != want[id] {
			return fmt.Errorf("row %q of %s is %s, the logs say %s", id, name, got[id], want[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[id]; !ok {
			return fmt.Errorf("row %q of %s is %s, the logs have none", id, name, got[id])
		}
	}
	return nil
}

// View is a row's JSON; "" where there is none that can be read.
func (w *World) View(model, id string) string {
	e, err := w.plain()
	if err != nil {
		return ""
	}
	row, err := e.Rows.Row(context.Background(), model, id)
	if err != nil {
		return ""
	}
	return string(row.View)
}

// Views are all rows as JSON, to compare before and after.
func (w *World) Views() string {
	var b strings.Builder
	all, err := w.rows()
	if err != nil {
		return err.Error()
	}
	for _, r := range all {
		at, _ := json.Marshal(r.At)
		fmt.Fprintf(&b, "%s %q %s %s %s\n", r.Model, r.ID, r.View, r.Owner, at)
	}
	return b.String()
}

// CheckAnswers holds the answers to linearizability: there is one order of all
// commands on an aggregate, each between its request and its answer, in which
// the decider gives just these answers. A key that is no longer remembered may
// take effect once more. Streams that others write to as well (other commands
// than the operations) are not for it.
func (w *World) CheckAnswers(history []Operation) error {
	aggregates := w.Definitions()
	byStream := map[engine.Stream][]porcupine.Operation{}
	for _, op := range history {
		op, kept := w.kept(op)
		if !kept {
			continue
		}
		byStream[op.Stream] = append(byStream[op.Stream], porcupine.Operation{ClientId: op.Client, Input: op, Call: 2 * op.Called, Output: op, Return: 2*op.Got + 1})
	}
	for s, ops := range byStream {
		ops = append(ops, w.repeats(s, ops)...)
		d := aggregates[s.Aggregate]
		model := porcupine.Model{
			Init: func() any { return decided{state: d.Initial} },
			Step: func(state, in, _ any) (bool, any) {
				op := in.(Operation)
				if no := (*es.Rejection)(nil); errors.As(op.Err, &no) && no.Code == engine.ErrSubjectErased.Code {
					return w.keyless(s), state // of a shop restored without keys no event says so
				}
				return state.(decided).step(d, op, int64(w.Memory))
			},
			Equal: func(a, b any) bool {
				return a.(decided).version == b.(decided).version && fmt.Sprint(a.(decided).state) == fmt.Sprint(b.(decided).state)
			},
		}
		if !porcupine.CheckOperations(model, ops) {
			var b strings.Builder
			for _, o := range ops {
				op := o.Input.(Operation)
				fmt.Fprintf(&b, "\n  %d–%d client %d key %s %T%+v → %v %v", op.Called, op.Got, op.Client, op.Key, op.Payload, op.Payload, op.Outcome, op.Err)
			}
			return fmt.Errorf("no order of these commands on %s gives these answers:%s", s, b.String())
		}
	}
	return nil
}

// repeats are the effects of keys that were forgotten, and that no answer tells
// of: the client had the answer to a later one. Each happened between the
// request and its commit.
func (w *World) repeats(s engine.Stream, ops []porcupine.Operation) (more []porcupine.Operation) {
	commits := map[string][]engine.Commit{}
	for _, c := range w.Log(s) {
		if _, key, ok := strings.Cut(c.Meta.Command.Origin, "\n"); ok && isKey(c.Meta.Command) {
			commits[key] = append(commits[key], c)
		}
	}
	for key, of := range commits {
		if len(of) == 1 {
			continue
		}
		told, called := map[int64]bool{}, int64(-1)
		var op Operation
		for _, o := range ops {
			if in := o.Input.(Operation); in.Key == key {
				op, told[in.Outcome.Version] = in, true
				if called < 0 || o.Call < called {
					called = o.Call
				}
			}
		}
		for _, c := range of {
			if told[c.Version] {
				continue
			}
			op.Err, op.Outcome = nil, engine.Outcome{Version: c.Version}
			for _, e := range c.Events {
				op.Outcome.Events = append(op.Outcome.Events, e.Type)
			}
			more = append(more, porcupine.Operation{ClientId: 1000 + len(more), Input: op, Call: called, Output: op, Return: 2*w.appended[s][c.Seq] + 1})
		}
	}
	return more
}

// decided is an aggregate in the sequential model.
type decided struct {
	state   any
	version int64
	commits int64
	keys    map[string]answered
}

// answered is what a key did, and with which commit.
type answered struct {
	engine.Outcome
	seq int64
}

func (m decided) step(d es.AggregateDefinition, op Operation, memory int64) (bool, any) {
	if out, seen := m.keys[op.Key]; seen && m.commits-out.seq <= memory {
		return op.Err == nil && out.Version == op.Outcome.Version && slices.Equal(out.Events, op.Outcome.Events), m
	}
	events, err := d.Decide(op.Payload, m.state, es.Meta{})
	var want, got *es.Rejection
	errors.As(op.Err, &got)
	switch {
	case errors.As(err, &want):
		return got != nil && got.Code == want.Code, m
	case len(events) == 0:
		return got == nil && len(op.Outcome.Events) == 0 && op.Outcome.Version == m.version, m
	case got != nil:
		return d.Check != nil, m // a rule that reads other aggregates
	}
	next := decided{state: m.state, version: m.version + int64(len(events)), commits: m.commits + 1, keys: maps.Clone(m.keys)}
	if next.keys == nil {
		next.keys = map[string]answered{}
	}
	names := make([]string, len(events))
	for i, e := range events {
		next.state = d.Evolve(e, next.state)
		names[i], _, _, _ = d.EncodeEvent(e)
	}
	next.keys[op.Key] = answered{op.Outcome, m.commits}
	return op.Outcome.Version == next.version && slices.Equal(op.Outcome.Events, names), next
}
