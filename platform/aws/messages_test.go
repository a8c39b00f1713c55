package aws

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onlineshop/es"
	"onlineshop/es/engine"
)

var placed = engine.Commit{
	Stream: engine.Stream{Aggregate: "Ordering.Order", ID: "o1"}, Seq: 2, Version: 5,
	Events: []es.StoredEvent{{Type: "Placed", Data: json.RawMessage(`{"customerId":"c1","productIds":["p1","p2"]}`)}, {Type: "Noted", Version: 2, Data: json.RawMessage(`{}`)}},
	Meta: engine.Meta{
		Command: engine.CommandID{Origin: "user:ann\nk1"}, Payload: "beef", MessageID: "m1", CorrelationID: "c1", User: "ann", Owner: "ann", Service: "Ordering",
		Time: time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC), Traceparent: "00-01",
	},
}

var ordered = engine.Entry{
	Point: "Ordering.Orders", Stream: placed.Stream, Seq: 2, Prev: -1, Time: placed.Meta.Time, Meta: placed.Meta,
	Events: []engine.PublishedEvent{
		{StoredEvent: es.StoredEvent{Type: "ItemOrdered", Data: json.RawMessage(`{"productId":"p1","orderId":"o1"}`)}, Key: "p1"},
		{StoredEvent: es.StoredEvent{Type: "ItemOrdered", Version: 2, Data: json.RawMessage(`{"productId":"p2","orderId":"o1"}`)}, Key: "p2"},
	},
}

func listeners(point string) []string {
	return map[string][]string{"Ordering.Orders": {"extension:Catalog.Orders_Extension", "extension:Catalog.Other"}}[point]
}

// asSent compares what another process gets.
var asSent = cmpopts.IgnoreUnexported(engine.Hint{}, engine.Commit{}, engine.Entry{})

func TestAHintComesOutOfAQueueAsItWentIn(t *testing.T) {
	for _, h := range []engine.Hint{
		{Follower: "mapping:Ordering.AutoShip", Stream: placed.Stream, Seq: 2, Commit: &placed},
		{Follower: "mapping:Ordering.AutoShip", Stream: engine.Stream{Aggregate: "Ordering.Order", ID: "a#b/ü"}, Seq: engine.StreamEnd},
	} {
		b, err := encodeHint(h)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readInbox(string(b), listeners)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]engine.Hint{h}, got, asSent); d != "" {
			t.Errorf("hint (-sent +received):\n%s", d)
		}
	}
}

func TestWhatSQSDoesNotTakeGoesEscaped(t *testing.T) {
	const name = `{"name":"Te\ufffe\uffffa \ufffd"}` // none of them escaped here
	c, e := placed, ordered
	data := json.RawMessage(strings.NewReplacer(`\ufffe`, "\ufffe", `\uffff`, "\uffff", `\ufffd`, "\ufffd").Replace(name))
	c.Events, e.Events = []es.StoredEvent{{Type: "Added", Data: data}}, []engine.PublishedEvent{{StoredEvent: es.StoredEvent{Type: "Added", Data: data}}}
	hint, err1 := encodeHint(engine.Hint{Follower: "mapping:Ordering.AutoShip", Stream: c.Stream, Seq: 2, Commit: &c})
	entry, err2 := encodeEntry(e)
	for what, b := range map[string][]byte{"a hint": hint, "an entry": entry} {
		if err1 != nil || err2 != nil || strings.ContainsAny(string(b), "\ufffe\uffff") || !strings.Contains(string(b), "Te\\ufffe\\uffffa \ufffd") {
			t.Errorf("%s: %s %v %v", what, b, err1, err2)
		}
	}
}

func TestAHintThatIsTooLargeGoesWithoutItsCommit(t *testing.T) {
	large := placed
	large.Events = []es.StoredEvent{{Type: "Placed", Data: json.RawMessage(`"` + strings.Repeat("x", maxCarried) + `"`)}}
	b, err := encodeHint(engine.Hint{Follower: "f:P.F", Stream: placed.Stream, Seq: 2, Commit: &large})
	if err != nil || len(b) > maxCarried {
		t.Fatalf("a hint of %d bytes, %v", len(b), err)
	}
	got, err := readInbox(string(b), listeners)
	if err != nil || got[0].Commit != nil || got[0].Seq != 2 {
		t.Errorf("received %+v, %v", got, err)
	}
}

// The bus' events are public: a change here changes what outsiders get.
func TestWhatIsOnTheBusIsCloudEvents(t *testing.T) {
	b, err := encodeEntry(ordered)
	if err != nil {
		t.Fatal(err)
	}
	var pretty any
	if err := json.Unmarshal(b, &pretty); err != nil {
		t.Fatal(err)
	}
	got, _ := json.MarshalIndent(pretty, "", "  ")
	golden(t, "entry.json", got)
	for _, secret := range []string{"ann", "beef"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("%q of the commit's metadata is on the bus", secret)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.TrimSpace(string(want)), string(got)); d != "" {
		t.Errorf("%s (-golden +got):\n%s", name, d)
	}
}

func TestAnEntryReachesWhoListens(t *testing.T) {
	detail, err := encodeEntry(ordered)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(busEvent{"Ordering", "Ordering.Orders", detail})
	got, err := readInbox(string(body), listeners)
	if err != nil {
		t.Fatal(err)
	}
	want := ordered
	want.Meta = engine.Meta{MessageID: "m1", CorrelationID: "c1", Service: "Ordering", Time: ordered.Time, Traceparent: "00-01"}
	for i, follower := range listeners("Ordering.Orders") {
		if d := cmp.Diff(engine.Hint{Follower: follower, Stream: ordered.Stream, Seq: 2, Entry: &want}, got[i], asSent); d != "" {
			t.Errorf("hint (-sent +received):\n%s", d)
		}
	}
	if len(got) != 2 {
		t.Errorf("%d hints, two were expected", len(got))
	}
}

func TestAnEntryThatIsTooLargeGoesWithoutItsEvents(t *testing.T) {
	large := ordered
	large.Events = append(large.Events[:1:1], engine.PublishedEvent{StoredEvent: es.StoredEvent{Type: "Long", Data: json.RawMessage(`"` + strings.Repeat("x", maxCarried) + `"`)}})
	detail, err := encodeEntry(large)
	if err != nil || len(detail) > maxCarried {
		t.Fatalf("an entry of %d bytes, %v", len(detail), err)
	}
	body, _ := json.Marshal(busEvent{"Ordering", "Ordering.Orders", detail})
	got, err := readInbox(string(body), listeners)
	if err != nil || got[0].Entry.Events != nil || got[0].Entry.Prev != -1 || !strings.Contains(string(detail), `"types":["ItemOrdered","Long"]`) {
		t.Errorf("received %+v, %v", got, err)
	}
}

// Recorded from EventBridge and SQS.
func TestARecordedEventOfTheBusIsRead(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "bus-event.json"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readInbox(string(b), func(string) []string { return []string{"extension:Ordering.Products_Extension"} })
	if err != nil || len(got) != 1 {
		t.Fatalf("received %+v, %v", got, err)
	}
	e := got[0].Entry
	if got[0].Stream.String() != "Catalog.Product#p1" || e.Point != "Catalog.Products" || len(e.Events) != 1 ||
		e.Events[0].Type != "ProductBecameAvailable" || e.Events[0].Key != "p1" || e.Meta.CorrelationID != "c1" {
		t.Errorf("received %+v", e)
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	for _, body := range []string{``, `{}`, `[]`, `"x"`, `{"follower":"mapping:A.B","stream":"nothing"}`, `{"detail-type":"Ordering.Orders"}`,
		`{"detail-type":"Ordering.Orders","source":"Ordering","detail":{"stream":"Ordering.Order#o","events":[{"source":"Ordering","type":"Other.Point.X"}]}}`} {
		if got, err := readInbox(body, listeners); err == nil {
			t.Errorf("%s was read as %+v", body, got)
		}
	}
}

func TestAnEntryInAnotherPluginsNameIsRefused(t *testing.T) {
	entry := func(source, stream, eventSource string) string {
		return `{"source":"` + source + `","detail-type":"Ordering.Orders","detail":{"stream":"` + stream + `","seq":0,"prev":-1,"events":[` +
			`{"source":"` + eventSource + `","type":"Ordering.Orders.ItemOrdered","subject":"p1","time":"2026-02-03T04:05:06Z","data":{}}]}}`
	}
	if got, err := readInbox(entry("Ordering", "Ordering.Order#o", "Ordering"), listeners); err != nil || len(got) != 2 {
		t.Fatalf("the plugin's own entry: %+v, %v", got, err)
	}
	for what, body := range map[string]string{
		"no source":                    entry("", "Ordering.Order#o", "Ordering"),
		"another source":               entry("Catalog", "Ordering.Order#o", "Ordering"),
		"a source in other letters":    entry("ordering", "Ordering.Order#o", "Ordering"),
		"a source that begins so":      entry("Ordering.Orders", "Ordering.Order#o", "Ordering"),
		"another plugin's stream":      entry("Ordering", "Catalog.Product#o", "Ordering"),
		"an event of another plugin's": entry("Ordering", "Ordering.Order#o", "Catalog"),
	} {
		if got, err := readInbox(body, listeners); err == nil {
			t.Errorf("%s: it was read as %+v", what, got)
		}
	}
}

func TestBatchesEndAtTenMessagesOrTheirBytes(t *testing.T) {
	for _, x := range []struct {
		sizes []int
		want  string
	}{
		{nil, ""},
		{[]int{1, 2, 3}, "3"},
		{make([]int, 25), "10 10 5"},
		{[]int{batchBytes / 2, batchBytes / 2, 1}, "2 1"},
		{[]int{batchBytes + 1, 1}, "1 1"},
	} {
		var got []string
		err := forEachBatch(x.sizes, func(n int) int { return n }, func(b []int) error {
			got = append(got, fmt.Sprint(len(b)))
			return nil
		})
		if s := strings.Join(got, " "); err != nil || s != x.want {
			t.Errorf("%d messages make batches of %q, %v; expected %q", len(x.sizes), s, err, x.want)
		}
	}
}
