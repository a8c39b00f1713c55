package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
)

// maxCarried is how many bytes of content a message carries. A larger one goes
// without: the follower reads what it lacks.
const maxCarried = 200 << 10

// hintMessage is a hint in a queue.
type hintMessage struct {
	Follower string         `json:"follower"`
	Stream   string         `json:"stream"`
	Seq      int64          `json:"seq"`
	Parked   bool           `json:"parked,omitempty"`
	Waited   bool           `json:"waited,omitempty"`
	Bulk     bool           `json:"bulk,omitempty"`
	Commit   *commitMessage `json:"commit,omitempty"`
}

type commitMessage struct {
	Version int64            `json:"version"`
	Events  []es.StoredEvent `json:"events"`
	Meta    engine.Meta      `json:"meta"`
}

// encode is v in JSON as SQS takes it: of what text may have, U+FFFE and U+FFFF are
// not allowed there, but for in an escape.
func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	for _, c := range []rune{'\ufffe', '\uffff'} {
		b = bytes.ReplaceAll(b, []byte(string(c)), fmt.Appendf(nil, `\u%04x`, c))
	}
	return b, err
}

func encodeHint(h engine.Hint) ([]byte, error) {
	m := hintMessage{Follower: h.Follower, Stream: h.Stream.String(), Seq: h.Seq, Parked: h.Parked, Waited: h.Waited, Bulk: h.Bulk}
	if h.Commit != nil {
		m.Commit = &commitMessage{h.Commit.Version, h.Commit.Events, h.Commit.Meta}
	}
	b, err := encode(m)
	if err == nil && len(b) > maxCarried {
		m.Commit = nil
		b, err = encode(m)
	}
	return b, err
}

func (m hintMessage) hint() (engine.Hint, error) {
	st, err := engine.ParseStream(m.Stream)
	h := engine.Hint{Follower: m.Follower, Stream: st, Seq: m.Seq, Parked: m.Parked, Waited: m.Waited, Bulk: m.Bulk}
	if m.Commit != nil {
		h.Commit = &engine.Commit{Stream: st, Seq: m.Seq, Version: m.Commit.Version, Events: m.Commit.Events, Meta: m.Commit.Meta}
	}
	return h, err
}

// entryMessage is what a commit published at an extension point: the detail of
// an event on the bus. Outsiders read it too, so it has contract events alone,
// and of the commit what its consequences are traced by.
type entryMessage struct {
	Stream string       `json:"stream"`
	Seq    int64        `json:"seq"`
	Prev   int64        `json:"prev"`             // place of the stream's previous commit that published here; -1: none
	Types  []string     `json:"types"`            // of its events, without repeats, to filter by
	Events []cloudEvent `json:"events,omitempty"` // absent: too large to carry, or none
	Swept  bool         `json:"swept,omitempty"`  // put on the bus again by a sweep
	Bulk   bool         `json:"bulk,omitempty"`   // of bulk work: rules tell the lanes apart by it
}

// cloudEvent is a CloudEvents 1.0 event in JSON, with extension attributes of
// ours: dataversion (of the data's shape, absent: 1), correlationid, messageid
// (of the command that decided it) and CloudEvents' traceparent.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`      // <stream>/<seq>/<n>
	Source          string          `json:"source"`  // the plugin
	Type            string          `json:"type"`    // <point>.<event>
	Subject         string          `json:"subject"` // what the event is routed by, e.g. the product's id
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
	DataVersion     int             `json:"dataversion,omitempty"`
	CorrelationID   string          `json:"correlationid,omitempty"`
	MessageID       string          `json:"messageid,omitempty"`
	Traceparent     string          `json:"traceparent,omitempty"`
}

func newEntryMessage(e engine.Entry) entryMessage {
	m := entryMessage{Stream: e.Stream.String(), Seq: e.Seq, Prev: e.Prev, Swept: e.Swept, Bulk: e.Meta.Bulk}
	for n, ev := range e.Events {
		c := cloudEvent{
			SpecVersion: "1.0", ID: fmt.Sprintf("%s/%d/%d", e.Stream, e.Seq, n), Source: naming.Plugin(e.Point), Type: e.Point + "." + ev.Type,
			Subject: ev.Key, Time: es.FormatTime(e.Time), DataContentType: "application/json", Data: ev.Data, DataVersion: ev.Version,
			CorrelationID: e.Meta.CorrelationID, MessageID: e.Meta.MessageID, Traceparent: e.Meta.Traceparent,
		}
		m.Types = append(m.Types, ev.Type)
		m.Events = append(m.Events, c)
	}
	slices.Sort(m.Types)
	m.Types = slices.Compact(m.Types)
	return m
}

// encodeEntry is the detail of the entry's event on the bus.
func encodeEntry(e engine.Entry) ([]byte, error) {
	m := newEntryMessage(e)
	b, err := encode(m)
	if err == nil && len(b) > maxCarried {
		m.Events = nil
		b, err = encode(m)
	}
	return b, err
}

// entry reads what the point's plugin wrote. It refuses what that can't have
// written: about streams and in the name of another plugin.
func (m entryMessage) entry(point string) (engine.Entry, error) {
	st, err := engine.ParseStream(m.Stream)
	if err != nil {
		return engine.Entry{}, err
	}
	publisher := naming.Plugin(point)
	if of := naming.Plugin(st.Aggregate); of != publisher {
		return engine.Entry{}, fmt.Errorf("an entry at %s about %s: that stream is %s's, not %s's", point, st, of, publisher)
	}
	e := engine.Entry{Point: point, Stream: st, Seq: m.Seq, Prev: m.Prev, Swept: m.Swept}
	for _, c := range m.Events {
		if c.Source != publisher {
			return e, fmt.Errorf("event %s on %s: its source is %q, not %s", c.ID, point, c.Source, publisher)
		}
		typ, ok := strings.CutPrefix(c.Type, point+".")
		if !ok {
			return e, fmt.Errorf("event %s on %s: its type %q is none of that extension point", c.ID, point, c.Type)
		}
		if e.Time, err = time.Parse(time.RFC3339Nano, c.Time); err != nil {
			return e, fmt.Errorf("event %s on %s: %w", c.ID, point, err)
		}
		e.Meta = engine.Meta{MessageID: c.MessageID, CorrelationID: c.CorrelationID, Service: c.Source, Time: e.Time, Traceparent: c.Traceparent}
		e.Meta.Bulk = m.Bulk
		e.Events = append(e.Events, engine.PublishedEvent{StoredEvent: es.StoredEvent{Type: typ, Version: c.DataVersion, Data: c.Data}, Key: c.Subject})
	}
	return e, nil
}

// busEvent is an event of EventBridge, as a rule puts it into a queue.
type busEvent struct {
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Detail     json.RawMessage `json:"detail"`
}

// inboxMessage is either kind of message in an aggregate's inbox.
type inboxMessage struct {
	hintMessage
	busEvent
}

var errNoMessage = errors.New("it is neither a hint nor an event of the bus")

// hints are what a message says to the followers: a hint to its own, an entry
// of the bus to all those that listeners names.
func readInbox(body string, listeners func(point string) []string) ([]engine.Hint, error) {
	var m inboxMessage
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoMessage, err)
	}
	switch {
	case m.Follower != "":
		h, err := m.hint()
		return []engine.Hint{h}, err
	case m.DetailType == "":
		return nil, errNoMessage
	}
	// The bus lets nobody but the plugin say so: see the policy in package cdk.
	if publisher := naming.Plugin(m.DetailType); m.Source != publisher {
		return nil, fmt.Errorf("an event of %s: its source is %q, not %s; somebody else put it on the bus", m.DetailType, m.Source, publisher)
	}
	var detail entryMessage
	if err := json.Unmarshal(m.Detail, &detail); err != nil {
		return nil, fmt.Errorf("event of %s: %w", m.DetailType, err)
	}
	e, err := detail.entry(m.DetailType)
	if err != nil {
		return nil, err
	}
	var hints []engine.Hint
	for _, follower := range listeners(e.Point) {
		hints = append(hints, engine.Hint{Follower: follower, Stream: e.Stream, Seq: e.Seq, Entry: &e, Bulk: detail.Bulk})
	}
	return hints, nil
}
