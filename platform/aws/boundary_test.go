package aws

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

// A rule of EventBridge's can't keep one stream's apart, and copies that are worked on at
// once would announce a loan twice.
func TestWhatSideEffectsHearIsQueuedUpByStream(t *testing.T) {
	// Given entries of two streams, as the bus hands them to the press
	l := platformtest.Library{World: platformtest.NewWorld()}
	c := newCloud(t, l.Plugins())
	press := c.platform(l.Plugins()[1])
	heard := func(id, book string) events.SQSMessage {
		detail, err := encodeEntry(engine.Entry{
			Point: "Lending.Books", Stream: engine.Stream{Aggregate: "Lending.Book", ID: book}, Seq: 1,
			Events: []engine.PublishedEvent{{StoredEvent: es.NewStoredEvent("BookLent", 1, []byte(`{"book":"b","to":"ann"}`)), Key: book}},
		})
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(busEvent{"Lending", "Lending.Books", detail})
		if err != nil {
			t.Fatal(err)
		}
		return events.SQSMessage{MessageId: id, Body: string(body), EventSourceARN: "arn:aws:sqs:eu-west-1:1:PressBoundary"}
	}
	batch := events.SQSEvent{Records: []events.SQSMessage{heard("m1", "a"), heard("m2", "b"), heard("m3", "a")}}

	// When the function is called with them
	out, err := press.inbox(t.Context(), "", batch)

	// Then nothing is done yet: they are in the inbox of side effects, as they were, one
	// stream's in one group, and known if they come again
	if err != nil || len(out.BatchItemFailures) > 0 || len(l.Congratulations("announcement of a for ann")) > 0 {
		t.Errorf("%v, failures %v, announced %v", err, out.BatchItemFailures, l.Congratulations("announcement of a for ann"))
	}
	var groups, ids []string
	for i, d := range c.waiting {
		m := d.record.(events.SQSMessage)
		if d.function != "Press" || m.Body != batch.Records[i].Body {
			t.Errorf("%s got %s", d.function, m.Body)
		}
		groups, ids = append(groups, m.Attributes["MessageGroupId"]), append(ids, m.Attributes["MessageDeduplicationId"])
	}
	a, b := messageGroup(engine.Stream{Aggregate: "Lending.Book", ID: "a"}), messageGroup(engine.Stream{Aggregate: "Lending.Book", ID: "b"})
	if !slices.Equal(groups, []string{a, b, a}) || !slices.Equal(ids, []string{"m1", "m2", "m3"}) {
		t.Errorf("groups %v, ids %v", groups, ids)
	}

	// When SQS takes none, then they come back
	c.refusals = 1000
	out, err = press.inbox(t.Context(), "", batch)
	want := []events.SQSBatchItemFailure{{ItemIdentifier: "m1"}, {ItemIdentifier: "m2"}, {ItemIdentifier: "m3"}}
	if d := cmp.Diff(want, out.BatchItemFailures); err != nil || d != "" {
		t.Errorf("%v, failures (-want +got):\n%s", err, d)
	}
}

func TestASideEffectAtTheBoundaryCostsAsTheDocumentationSays(t *testing.T) {
	// Given a press that has begun
	l := platformtest.Library{World: platformtest.NewWorld()}
	c := newCloud(t, l.Plugins())
	press := c.platforms["Press"]
	if err := press.engine.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	// When it hears of a loan
	s := shop{T: t, cloud: c}
	at := time.Now().Add(time.Minute)
	got := s.sum(c.during(func() {
		st := engine.Stream{Aggregate: "Lending.Book", ID: "dune"}
		if err := press.engine.Follow(t.Context(), engine.Hint{Follower: "effect:Press.Announce", Stream: st, Entry: &engine.Entry{
			Point: "Lending.Books", Stream: st, Prev: -1, Time: at, Meta: engine.Meta{Time: at},
			Events: []engine.PublishedEvent{{StoredEvent: es.NewStoredEvent("BookLent", 1, []byte(`{"book":"dune","to":"ann"}`)), Key: "dune"}},
		}}); err != nil {
			t.Error(err)
		}
	}))
	// Then it reads and moves its cursor, and asks nobody
	if want := (cost{requests: 2, reads: 1, read: 1, write: 1}); got != want || len(l.Congratulations("announcement of dune for ann")) != 1 {
		t.Errorf("it cost %s, expected %s; %v", got, want, l.Congratulations("announcement of dune for ann"))
	}
}
