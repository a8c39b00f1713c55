package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"

	"onlineshop/es"
	"onlineshop/es/email"
	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/platformtest"
)

// Recorded from a table's stream: two products, of which one has two commits, a
// change by hand, and a commit whose text is broken.
func streamBatch(t *testing.T) (e events.DynamoDBEvent) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "stream-event.json"))
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestARecordedBatchOfAStreamIsRead(t *testing.T) {
	p := &Platform{log: slog.New(slog.DiscardHandler)}
	var mu sync.Mutex
	got := map[string][]string{}
	out, err := p.commits(t.Context(), "Catalog", streamBatch(t), func(_ context.Context, c engine.Commit) error {
		mu.Lock()
		defer mu.Unlock()
		text := fmt.Sprint(c.Seq)
		for _, e := range c.Events {
			text += " " + e.Type + string(e.Data)
		}
		got[c.Stream.String()] = append(got[c.Stream.String()], text+" "+c.Meta.User)
		return nil
	}, nil)
	if err != nil || len(out.BatchItemFailures) > 0 {
		t.Errorf("failures %v, %v", out.BatchItemFailures, err)
	}
	if d := cmp.Diff(map[string][]string{
		"Catalog.Product#p1": {`0 Added{"name":"Tea"} ann`, `1 PriceUpdated{"price":1} ann`},
		"Catalog.Product#p2": {`0 Added{"name":"Cup"} bob`},
		"Catalog.Product#p3": {`7 `}, // its place alone
	}, got); d != "" {
		t.Errorf("commits (-want +got):\n%s", d)
	}
}

func TestFollowersBeginWithTheEarliestCommitOfABatch(t *testing.T) {
	// Given a batch whose second stream has its earliest commit
	e := streamBatch(t)
	p2 := e.Records[1].Change.NewImage
	p2["meta"] = events.NewStringAttribute(strings.Replace(p2["meta"].String(), "2026-02-03T04:05:06.007Z", "2026-02-03T04:05:05Z", 1))
	// When the function is called with it
	p := &Platform{log: slog.New(slog.DiscardHandler)}
	var begun, relayed []string
	var mu sync.Mutex
	_, err := p.commits(t.Context(), "Catalog", e, func(_ context.Context, c engine.Commit) error {
		mu.Lock()
		defer mu.Unlock()
		relayed = append(relayed, c.Stream.ID)
		return nil
	}, func(_ context.Context, plugin string, first time.Time) error {
		begun = append(begun, fmt.Sprint(plugin, " ", first.UTC().Format(time.RFC3339), " before ", len(relayed)))
		return nil
	})
	// Then that is when new followers begin, before any commit is relayed
	if d := cmp.Diff([]string{"Catalog 2026-02-03T04:05:05Z before 0"}, begun); d != "" || err != nil {
		t.Errorf("begun (-want +got):\n%s%v", d, err)
	}
	if len(relayed) != 4 {
		t.Errorf("relayed: %v", relayed)
	}
}

func TestAFailureHoldsUpItsOwnStreamAlone(t *testing.T) {
	p := &Platform{log: slog.New(slog.DiscardHandler)}
	var mu sync.Mutex
	var done []string
	out, err := p.commits(t.Context(), "Catalog", streamBatch(t), func(_ context.Context, c engine.Commit) error {
		mu.Lock()
		defer mu.Unlock()
		if c.Stream.ID == "p1" && c.Seq == 0 {
			return errors.New("not now")
		}
		done = append(done, fmt.Sprintf("%s/%d", c.Stream.ID, c.Seq))
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]events.DynamoDBBatchItemFailure{{ItemIdentifier: "100"}, {ItemIdentifier: "400"}}, out.BatchItemFailures); d != "" {
		t.Errorf("failures (-want +got):\n%s", d)
	}
	if all := strings.Join(done, " "); strings.Contains(all, "p1/1") || !strings.Contains(all, "p2/0") || !strings.Contains(all, "p3/7") {
		t.Errorf("done: %s; all but p1's were expected", all)
	}
}

func TestAPanicHoldsUpItsOwnStreamAlone(t *testing.T) {
	// Given something that panics with one commit of a batch
	p := &Platform{log: slog.New(slog.DiscardHandler)}
	var mu sync.Mutex
	done := map[string]bool{}

	// When the function is called with the batch
	out, err := p.commits(t.Context(), "Catalog", streamBatch(t), func(_ context.Context, c engine.Commit) error {
		if c.Stream.ID == "p1" && c.Seq == 0 {
			panic("out of range")
		}
		mu.Lock()
		defer mu.Unlock()
		done[c.Stream.ID] = true
		return nil
	}, nil)

	// Then that stream's commits come back, and the others are done
	want := []events.DynamoDBBatchItemFailure{{ItemIdentifier: "100"}, {ItemIdentifier: "400"}}
	if d := cmp.Diff(want, out.BatchItemFailures); err != nil || d != "" {
		t.Errorf("%v, failures (-want +got):\n%s", err, d)
	}
	if d := cmp.Diff(map[string]bool{"p2": true, "p3": true}, done); d != "" {
		t.Errorf("done (-want +got):\n%s", d)
	}
}

// An adapter's panic, which the engine does not expect.
func TestAPanicOverOneMessageLeavesTheOthers(t *testing.T) {
	// Given cursors that panic on one stream
	l := platformtest.Library{World: platformtest.NewWorld()}
	c := newCloud(t, l.Plugins())
	p := c.platform(l.Plugins()...)
	p.engine.Cursors = panics{p.engine.Cursors, "hexed"}
	message := func(book string) events.SQSMessage {
		commit := engine.Commit{
			Stream: engine.Stream{Aggregate: "Lending.Book", ID: book}, Version: 1,
			Events: []es.StoredEvent{{Type: "Lent", Data: json.RawMessage(`{"text":"ada"}`)}}, Meta: engine.Meta{Time: time.Now()},
		}
		body, err := encodeHint(engine.Hint{Follower: "effect:Lending.Congratulate", Stream: commit.Stream, Commit: &commit})
		if err != nil {
			t.Fatal(err)
		}
		return events.SQSMessage{MessageId: book, Body: string(body)}
	}

	// When the function is called with a message for it, and one for another
	out, err := p.inbox(t.Context(), "", events.SQSEvent{Records: []events.SQSMessage{message("hexed"), message("free")}})

	// Then the one comes back, and the other is done
	if d := cmp.Diff([]events.SQSBatchItemFailure{{ItemIdentifier: "hexed"}}, out.BatchItemFailures); err != nil || d != "" {
		t.Errorf("%v, failures (-want +got):\n%s", err, d)
	}
	if got := l.Congratulations("free"); len(got) != 1 {
		t.Errorf("the other's effect ran %d times, once was expected", len(got))
	}
}

// panics are cursors that panic on one stream.
type panics struct {
	engine.Cursors
	id string
}

func (p panics) Cursor(ctx context.Context, follower string, s engine.Stream) (engine.Cursor, error) {
	if s.ID == p.id {
		panic("no such cursor")
	}
	return p.Cursors.Cursor(ctx, follower, s)
}

func TestWhatIsNoMessageComesBackAlone(t *testing.T) {
	l := platformtest.Library{World: platformtest.NewWorld()}
	p := newServices(t, l.Plugins()).platform(l.Plugins()...)
	out, err := p.inbox(t.Context(), "Lending.Reader", events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "broken", Body: "{"},
		{MessageId: "unheard", Body: `{"detail-type":"Nobody.Listens","source":"Nobody","detail":{"stream":"Nobody.X#1"}}`},
		{MessageId: "unknown", Body: `{"follower":"mapping:Lending.Nobody","stream":"Lending.Book#b","seq":0}`},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range out.BatchItemFailures {
		got[f.ItemIdentifier] = true
	}
	if d := cmp.Diff(map[string]bool{"broken": true, "unknown": true}, got); d != "" {
		t.Errorf("failures (-want +got):\n%s", d)
	}
}

// What is not reported is deleted, and its hint lost.
func TestWhatFollowsAFailedMessageOfItsStreamComesBackWithIt(t *testing.T) {
	// Given a batch with two streams, of which one has a message that fails, and one after it
	l := platformtest.Library{World: platformtest.NewWorld()}
	c := newCloud(t, l.Plugins())
	p := c.platform(l.Plugins()...)
	message := func(id, follower, book string) events.SQSMessage {
		commit := engine.Commit{
			Stream: engine.Stream{Aggregate: "Lending.Book", ID: book}, Version: 1,
			Events: []es.StoredEvent{{Type: "Lent", Data: json.RawMessage(`{"text":"ada"}`)}}, Meta: engine.Meta{Time: time.Now()},
		}
		body, err := encodeHint(engine.Hint{Follower: follower, Stream: commit.Stream, Commit: &commit})
		if err != nil {
			t.Fatal(err)
		}
		return events.SQSMessage{MessageId: id, Body: string(body)}
	}
	const effect = "effect:Lending.Congratulate"

	// When the function is called with it
	out, err := p.inbox(t.Context(), "", events.SQSEvent{Records: []events.SQSMessage{
		message("fails", "effect:Lending.Nobody", "held"), message("other", effect, "free"), message("later", effect, "held"),
	}})

	// Then the other stream's message is done, and those two come back
	want := []events.SQSBatchItemFailure{{ItemIdentifier: "fails"}, {ItemIdentifier: "later"}}
	if d := cmp.Diff(want, out.BatchItemFailures); err != nil || d != "" {
		t.Errorf("%v, failures (-want +got):\n%s", err, d)
	}
	if free, held := l.Congratulations("free"), l.Congratulations("held"); len(free) != 1 || len(held) != 0 {
		t.Errorf("done: %v and %v; the other stream's alone was expected", free, held)
	}
}

func TestAnEntryIsForTheAggregateWhoseInboxItIsIn(t *testing.T) {
	l := platformtest.Library{World: platformtest.NewWorld()}
	p := newServices(t, l.Plugins()).platform(l.Plugins()...)
	if d := cmp.Diff([]string{"extension:Press.Books_Extension"}, p.listeners("Press.Article")("Lending.Books")); d != "" {
		t.Errorf("listeners at the article's inbox (-want +got):\n%s", d)
	}
	if got := p.listeners("Lending.Reader")("Lending.Books"); len(got) > 0 {
		t.Errorf("listeners at the reader's inbox: %v; none was expected", got)
	}
}

func TestWhatIsRefusedOfABatchIsSentAgain(t *testing.T) {
	l := platformtest.Library{World: platformtest.NewWorld()}
	c := newServices(t, l.Plugins())
	p := c.platform(l.Plugins()...)
	var sent []engine.Hint
	for i := range int64(12) {
		sent = append(sent, engine.Hint{Follower: "mapping:Lending.Remind", Stream: engine.Stream{Aggregate: "Lending.Book", ID: "b"}, Seq: i})
	}
	c.refusals = 7
	if err := (*hints)(p).Send(t.Context(), 1500*time.Millisecond, sent...); err != nil {
		t.Fatal(err)
	}
	seen := map[int64]int{}
	for _, d := range c.waiting {
		got, err := readInbox(d.record.(events.SQSMessage).Body, nil)
		if err != nil || d.delay != 2 || d.function != "Lending.Reader" {
			t.Fatalf("message %+v, %v", d, err)
		}
		seen[got[0].Seq]++
	}
	if len(seen) != 12 || len(c.waiting) != 12 {
		t.Errorf("hints that arrived, by place: %v; each of 12 was expected once", seen)
	}
	c.refusals = 2
	if err := (*bus)(p).Publish(t.Context(), ordered, ordered, ordered); err != nil || len(c.published) != 3 {
		t.Errorf("%d entries arrived, %v; three were expected", len(c.published), err)
	}
	c.refusals = 1000
	if err := (*hints)(p).Send(t.Context(), 0, sent[0]); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("hints are refused for good: %v; ErrUnavailable was expected", err)
	}
	if err := (*bus)(p).Publish(t.Context(), ordered); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("entries are refused for good: %v; ErrUnavailable was expected", err)
	}
}

// Copies that are worked on at once would send an e-mail twice.
func TestHintsForSideEffectsOnOneStreamAreWorkedOnOneAfterTheOther(t *testing.T) {
	// Given hints for a side effect on three streams, among them what a group's id may not be
	l := platformtest.Library{World: platformtest.NewWorld()}
	c := newServices(t, l.Plugins())
	p := c.platform(l.Plugins()...)
	var sent []engine.Hint
	for _, id := range []string{"a", "ü b", strings.Repeat("x", 200)} {
		sent = append(sent, engine.Hint{Follower: "effect:Lending.Congratulate", Stream: engine.Stream{Aggregate: "Lending.Book", ID: id}, Seq: 1})
	}

	// When each is sent twice, and SQS refuses some of them at first
	for range 2 {
		c.refusals = 2
		if err := (*hints)(p).Send(t.Context(), 0, sent...); err != nil {
			t.Fatal(err)
		}
	}

	// Then all of them arrive, no two as repeats of one another, and each stream's in a group of its own
	groups, streams, ids := map[string]engine.Stream{}, map[engine.Stream]int{}, map[string]bool{}
	for _, d := range c.waiting {
		m := d.record.(events.SQSMessage)
		got, err := readInbox(m.Body, nil)
		if err != nil || d.function != "Lending" {
			t.Fatalf("message %+v, %v", d, err)
		}
		group := m.Attributes["MessageGroupId"]
		if other, ok := groups[group]; ok && other != got[0].Stream {
			t.Errorf("%s and %s share a group", other, got[0].Stream)
		}
		groups[group] = got[0].Stream
		streams[got[0].Stream]++
		ids[m.Attributes["MessageDeduplicationId"]] = true
	}
	if len(groups) != 3 || len(ids) != 6 || streams[sent[0].Stream] != 2 || len(c.waiting) != 6 {
		t.Errorf("%d messages with %d ids in %d groups, by stream: %v; two with ids of their own in a group each were expected", len(c.waiting), len(ids), len(groups), streams)
	}
}

func TestSomeFailuresAreWorthAnotherTry(t *testing.T) {
	for _, x := range []struct {
		err  error
		want bool
	}{
		{&types.ProvisionedThroughputExceededException{}, true},
		{&types.RequestLimitExceeded{}, true},
		{&types.InternalServerError{}, true},
		{&smithy.GenericAPIError{Code: "ThrottlingException"}, true},
		{&smithy.GenericAPIError{Code: "Odd", Fault: smithy.FaultServer}, true},
		{&smithy.GenericAPIError{Code: "ValidationException", Fault: smithy.FaultClient}, false},
		{&types.ResourceNotFoundException{}, false},
		{&smithy.CanceledError{Err: context.DeadlineExceeded}, false},
		{&awssdk.RequestCanceledError{Err: context.DeadlineExceeded}, false},
		{&smithyhttp.RequestSendError{Err: unanswered(t)}, true},
		{fmt.Errorf("ask: %w", iotest.ErrTimeout), false},
	} {
		if got := errors.Is(failure(x.err), engine.ErrUnavailable); got != x.want {
			t.Errorf("%T %v: unavailable %t, expected %t", x.err, x.err, got, x.want)
		}
		if !errors.Is(failure(x.err), x.err) {
			t.Errorf("%v is lost", x.err)
		}
	}
}

// unanswered is the error of a request that a server took, and did not answer.
func unanswered(t *testing.T) error {
	var end sync.WaitGroup
	end.Add(1)
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { end.Wait() }))
	t.Cleanup(func() {
		end.Done()
		silent.Close()
	})
	client := &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: time.Millisecond}}
	r, err := client.Get(silent.URL)
	if err == nil {
		_ = r.Body.Close()
		t.Fatal("the silent server answered")
	}
	return err
}

// announced is S3's notification of an object, with the key as S3 encodes it.
func announced(key string, content []byte) events.S3EventRecord {
	return events.S3EventRecord{S3: events.S3Entity{
		Bucket: events.S3Bucket{Name: "imports"},
		Object: events.S3Object{Key: key, Size: int64(len(content)), ETag: strings.Trim(etagOf(content), `"`), Sequencer: "0055AED6DCD90281E5"},
	}}
}

// A task that stops at its checkpoint is called again until it is done, and reads
// on where it was, whatever its object is called.
func TestATaskGoesOnUntilItIsDone(t *testing.T) {
	c := newServices(t, nil)
	content := bytes.Repeat([]byte("0123456789"), rangeBytes/4) // in three parts
	c.objects["imports/2026/june 1+ü.csv"] = content
	lambdacontext.FunctionName = "import"
	var read []byte
	calls, uploads := 0, map[string]bool{}
	task := es.Task{Name: "Import", OnObject: func(ctx context.Context, o es.Object, _ es.Shop) error {
		calls++
		uploads[o.Upload] = true
		r, err := o.Open(ctx, int64(len(read)))
		if err != nil {
			return err
		}
		defer r.Close()
		part, err := io.ReadAll(io.LimitReader(r, int64(len(content)/3)))
		read = append(read, part...)
		if err != nil || len(read) < len(content) {
			return errors.Join(err, es.ErrUnfinished)
		}
		return o.WriteReport(ctx, func(w io.Writer) error {
			_, err := io.WriteString(w, "line,code,reason\n")
			return err
		})
	}}
	p := c.platform()
	c.handlers["import"] = p.Imports("Catalog", task)
	event, _ := json.Marshal(events.S3Event{Records: []events.S3EventRecord{announced("2026/june+1%2B%C3%BC.csv", content)}})
	if _, err := c.handlers["import"].Invoke(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if err := c.deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read, content) || calls != 4 || len(uploads) != 1 {
		t.Errorf("%d of %d bytes were read in %d calls for uploads %v", len(read), len(content), calls, uploads)
	}
	report, err := p.Report(t.Context(), "Catalog.Import", "2026/june 1+ü.csv")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(report.Body); string(b) != "line,code,reason\n" {
		t.Errorf("report %q, %v", b, err)
	}
	if _, err := p.Report(t.Context(), "Catalog.Import", "other.csv"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a report that is not there: %v", err)
	}
}

// Lambda tries three times in all; a long task may meet more throttles.
func TestATaskThatGotAheadGoesOnAfterAThrottle(t *testing.T) {
	for _, ahead := range []bool{true, false} {
		c := newServices(t, nil)
		lambdacontext.FunctionName = "import"
		throttled := fmt.Errorf("a row: %w", engine.ErrUnavailable)
		c.handlers["import"] = c.platform().Imports("Catalog", es.Task{Name: "Import", OnObject: func(_ context.Context, _ es.Object, s es.Shop) error {
			if ahead {
				s.Stopping()
			}
			return throttled
		}})
		event, _ := json.Marshal(events.S3Event{Records: []events.S3EventRecord{announced("a.csv", nil)}})
		_, err := c.handlers["import"].Invoke(t.Context(), event)
		if goesOn := err == nil && len(c.waiting) == 1; goesOn != ahead || !ahead && !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("ahead %t: it is called %d times more, %v", ahead, len(c.waiting), err)
		}
	}
}

func TestATaskThatFailsIsLeftToLambdaToCallAgain(t *testing.T) {
	p := newServices(t, nil).platform()
	h := p.Imports("Catalog", es.Task{Name: "Import", OnObject: func(context.Context, es.Object, es.Shop) error { return errors.New("no") }})
	event, _ := json.Marshal(events.S3Event{Records: []events.S3EventRecord{announced("a.csv", nil)}})
	if _, err := h.Invoke(t.Context(), event); err == nil {
		t.Error("its failure is lost")
	}
	if _, err := h.Invoke(t.Context(), []byte(`{"Service":"Amazon S3","Event":"s3:TestEvent"}`)); err != nil {
		t.Errorf("S3's own test event: %v", err)
	}
}

func TestAnEmailIsSentWhereThereIsASender(t *testing.T) {
	c := newServices(t, nil)
	send := func(from string) {
		t.Helper()
		if err := NewMailer(c.config(), c.wiring, from, "shop@example.com").Send(t.Context(), email.Message{ID: "m1", To: "ann@example.com", Subject: "Grüße", Text: "Hello"}); err != nil {
			t.Fatal(err)
		}
	}
	send("shop@example.com")
	want := []map[string]any{{
		"FromEmailAddress": "shop@example.com", "Destination": map[string]any{"ToAddresses": []any{"ann@example.com"}},
		"Content": map[string]any{"Simple": map[string]any{
			"Subject": map[string]any{"Charset": "UTF-8", "Data": "Grüße"},
			"Body":    map[string]any{"Text": map[string]any{"Charset": "UTF-8", "Data": "Hello"}},
			"Headers": []any{map[string]any{"Name": "X-Shop-Message-Id", "Value": "m1"}},
		}},
	}}
	if d := cmp.Diff(want, c.emails); d != "" {
		t.Errorf("e-mails (-want +got):\n%s", d)
	}
	send("") // kept
	if kept := string(c.objects["reports/emails/m1.eml"]); len(c.emails) != 1 || !strings.Contains(kept, "ann@example.com") {
		t.Errorf("%d e-mails are sent, and kept is %q", len(c.emails), kept)
	}
}

func TestAnObjectThatIsGoneOrReplacedIsSaidToBe(t *testing.T) {
	c := newServices(t, nil)
	p := c.platform()
	o, err := p.object("Catalog.Import", announced("a.csv", []byte("old")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Open(t.Context(), 0); !errors.Is(err, es.ErrObjectGone) {
		t.Errorf("open an object that is gone: %v", err)
	}
	c.objects["imports/a.csv"] = []byte("new")
	if _, err := o.Open(t.Context(), 0); !errors.Is(err, es.ErrObjectGone) {
		t.Errorf("open an object that was replaced: %v", err)
	}
	empty, err := p.object("Catalog.Import", announced("empty.csv", nil))
	if err != nil {
		t.Fatal(err)
	}
	r, err := empty.Open(t.Context(), 0)
	if err != nil {
		t.Fatalf("open an empty object: %v", err)
	}
	if b, err := io.ReadAll(r); len(b) > 0 || err != nil {
		t.Errorf("an empty object holds %q, %v", b, err)
	}
}

// The page is allowed to talk to where it is sent.
func TestSignedAddressesAreOfTheOriginsThatAreTold(t *testing.T) {
	p, err := New(Options{
		Config: awssdk.Config{Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")},
		Wiring: wiring.Wiring{Buckets: map[string]string{"Catalog.ImportProducts": "imports"}, Reports: "reports"},
	})
	if err != nil {
		t.Fatal(err)
	}
	origins, err := p.Origins(t.Context())
	if want := []string{"https://imports.s3.eu-central-1.amazonaws.com", "https://reports.s3.eu-central-1.amazonaws.com"}; err != nil || !slices.Equal(origins, want) {
		t.Fatalf("origins are %v, %v, want %v", origins, err, want)
	}
	u, err := p.Upload(t.Context(), "Catalog.ImportProducts", "june.csv", 1)
	if err != nil || !strings.HasPrefix(u.URL, origins[0]+"/june.csv?") {
		t.Errorf("an upload goes to %s, %v", u.URL, err)
	}
}

func TestLaterUploadsCompareGreater(t *testing.T) {
	inOrder := []string{"0055AED6DC", "0055AED6DCD90281E5", "0055AED6DCD90281E6", "0055AED6DD"}
	for i := range inOrder[1:] {
		if a, b := uploadOf(inOrder[i]), uploadOf(inOrder[i+1]); a >= b {
			t.Errorf("%s is not before %s", a, b)
		}
	}
	if uploadOf("0055") != uploadOf("005500") {
		t.Error("zeros at a sequencer's end make a difference")
	}
}

func TestATaskStopsWhileThereIsTimeForIt(t *testing.T) {
	for _, x := range []struct {
		limit, step time.Duration
		want        int // checkpoints, the last of which is told to stop
	}{
		{time.Minute, time.Second, 53},       // of its 60 s it keeps 6, and 2 for one more
		{15 * time.Minute, time.Second, 889}, // keeps 10 s
		{20 * time.Second, 8 * time.Second, 1},
	} {
		start := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
		now := start
		stopping := deadlineGuard(func() time.Time { return now }, start.Add(x.limit))
		n := 0
		for stop := false; !stop && n < 1000; n++ {
			now = now.Add(x.step)
			stop = stopping()
		}
		if n != x.want || !now.Before(start.Add(x.limit)) {
			t.Errorf("with %s and a checkpoint each %s it stops at the %dth, expected the %dth", x.limit, x.step, n, x.want)
		}
	}
	now := time.Now()
	if deadlineGuard(func() time.Time { return now }, time.Time{})() {
		t.Error("it stops, although its time does not end")
	}
}

// Operations go from the query function to each plugin's own.
func TestOperationsAreDoneByThePlugins(t *testing.T) {
	l := platformtest.Library{World: platformtest.NewWorld()}
	all := l.Plugins()
	all[0].HeartbeatInterval = 5 * time.Minute
	c := newCloud(t, all)
	p := c.platform(all...)
	ops := p.Operations()
	steps := func(what string, do func(cursor string) (engine.Progress, error)) (done int) {
		t.Helper()
		done = platformtest.Steps(t, what, do)
		if err := c.deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		return done
	}
	parked := func() (all []string) {
		for cursor := ""; ; {
			page, next, err := ops.ListParked(t.Context(), cursor)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range page {
				all = append(all, k.Consumer+" "+k.Stream.String())
			}
			if cursor = next; cursor == "" {
				return all
			}
		}
	}
	given := func(id string, commits ...string) {
		t.Helper()
		for i, text := range commits {
			kind := "Lent"
			if i == 0 {
				kind = "Acquired"
			}
			if err := p.store.Append(t.Context(), engine.Commit{
				Stream: engine.Stream{Aggregate: "Lending.Book", ID: id}, Seq: int64(i), Version: int64(i + 1),
				Events: []es.StoredEvent{{Type: kind, Data: json.RawMessage(`{"text":"` + text + `"}`)}},
				Meta:   engine.Meta{Command: engine.CommandID{Origin: "test"}, MessageID: "m", User: "ada", Owner: "ada", Time: time.Now()},
			}); err != nil {
				t.Fatal(err)
			}
		}
	}

	l.Curse(true)
	given("hexed", "Hexed", platformtest.Cursed)
	if err := c.deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := parked(); len(got) != 4 {
		t.Fatalf("parked: %v; four keys were expected", got)
	}
	h, err := p.Health(t.Context())
	if err != nil || h.Status != "degraded" || h.Plugins[0].Connected || !slices.Contains(h.Plugins[0].Consumers, engine.ConsumerHealth{Name: "mapping:Lending.Remind", Parked: 1}) {
		t.Errorf("health %+v, %v", h, err)
	}
	l.Curse(false)
	if n := steps("redrive", func(cursor string) (engine.Progress, error) { return ops.Redrive(t.Context(), cursor) }); n != 4 {
		t.Errorf("%d keys were tried again, four were expected", n)
	}
	if got := parked(); len(got) != 0 {
		t.Errorf("still parked: %v", got)
	}

	given("lost", "Lost", "rita")
	c.waiting = nil // every hint is lost
	steps("sweep", func(cursor string) (engine.Progress, error) { return ops.Sweep(t.Context(), cursor) })
	row, err := p.store.Row(t.Context(), "Lending.Books", "lost")
	if err != nil || string(row.View) != `{"title":"Lost","holder":"rita","loans":1}` {
		t.Errorf("row %s, %v", row.View, err)
	}
	if commits, _, err := p.store.Read(t.Context(), engine.Stream{Aggregate: "Press.Article", ID: "lost"}, 0, 0); err != nil || len(commits) != 1 {
		t.Errorf("the other plugin has %d commits, %v; one was expected", len(commits), err)
	}
	if n := steps("rebuild", func(cursor string) (engine.Progress, error) { return ops.Rebuild(t.Context(), "Lending.Books", cursor) }); n != 2 {
		t.Errorf("%d rows were folded again, two were expected", n)
	}
	if _, err := ops.Rebuild(t.Context(), "Lending.Nothing", ""); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("rebuild of a read model that there is not: %v", err)
	}
	if _, err := ops.Sweep(t.Context(), "9:"); !errors.Is(err, engine.ErrCursor) {
		t.Errorf("a foreign cursor: %v", err)
	}

	c.published = nil
	for range 2 { // it is due once in five minutes
		if _, err := p.operate(t.Context(), "Lending", wiring.Operation{Do: wiring.DoTick}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.published) != 1 || c.published[0].Source != "Lending" || c.published[0].DetailType != wiring.HeartbeatType {
		t.Errorf("on the bus: %+v; one heartbeat was expected", c.published)
	}
	if at, err := p.store.lastBeat(t.Context(), "Lending"); err != nil || time.Since(at) > time.Hour {
		t.Errorf("its heartbeat: %s, %v", at, err)
	}
	if _, err := p.operate(t.Context(), "Lending", wiring.Operation{Do: "dance"}); err == nil || errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("an operation that there is not: %v", err)
	}
}

// A commit that can't be read parks its own stream; once it is mended, a redrive
// brings what it should have.
func TestABrokenCommitParksItsStreamAlone(t *testing.T) {
	l := platformtest.Library{World: platformtest.NewWorld()}
	c := newCloud(t, l.Plugins())
	p := c.platform(l.Plugins()...)
	st := engine.Stream{Aggregate: "Lending.Book", ID: "torn"}
	whole, err := encodeCommit(engine.Commit{
		Stream: st, Version: 1, Events: []es.StoredEvent{{Type: "Acquired", Data: json.RawMessage(`{"text":"Torn"}`)}},
		Meta: engine.Meta{MessageID: "m", Time: time.Now()},
	})
	if err != nil {
		t.Fatal(err)
	}
	put := func(events string) {
		t.Helper()
		whole[attrEvents] = str(events)
		if err := c.put(t.Context(), c.wiring.Plugins["Lending"].Events, whole); err != nil {
			t.Fatal(err)
		}
	}
	mended := text(whole, attrEvents)
	put(`[{"type":"Acq`)
	if err := c.deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, _, err := p.store.ListParked(t.Context(), "")
	if err != nil || len(keys) != 8 {
		t.Fatalf("parked: %+v, %v; each of the eight consumers of the stream was expected", keys, err)
	}
	// Others are swept none the less.
	platformtest.Steps(t, "sweep", func(cursor string) (engine.Progress, error) { return p.engine.Sweep(t.Context(), cursor) })
	put(mended)
	c.waiting = nil
	// A function that was killed between the two writes of a parking left the list alone.
	if err := p.store.mark(t.Context(), "mapping:Lending.Remind", st, false); err != nil {
		t.Fatal(err)
	}
	platformtest.Steps(t, "redrive", func(cursor string) (engine.Progress, error) { return p.engine.Redrive(t.Context(), cursor) })
	if err := c.deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	row, err := p.store.Row(t.Context(), "Lending.Books", "torn")
	keys, _, errParked := p.store.ListParked(t.Context(), "")
	if err != nil || string(row.View) != `{"title":"Torn","loans":0}` || errParked != nil || len(keys) > 0 {
		t.Errorf("row %s, parked %v, %v, %v", row.View, keys, err, errParked)
	}
}

// availableFor is what Ordering knows of the mug.
func (s shop) availableFor(want string) {
	s.Helper()
	row, err := s.store.Row(s.Context(), "Ordering.AvailableProducts", "mug")
	if err != nil || !strings.Contains(string(row.View), want) {
		s.Errorf("Ordering knows of the mug %s, %v; %s was expected", row.View, err, want)
	}
}

// Who may put events on the account's bus is not the plugin whose name they give.
func TestAForgedEntryOfTheBusChangesNothing(t *testing.T) {
	forged := func(source, stream string, seq int64) string {
		return fmt.Sprintf(`{"source":%q,"detail-type":"Catalog.Products","detail":{"stream":%q,"seq":%d,"prev":-1,"types":["ProductBecameAvailable"],"events":[`+
			`{"specversion":"1.0","id":"x","source":"Catalog","type":"Catalog.Products.ProductBecameAvailable","subject":"mug","time":"2026-02-03T04:05:06Z",`+
			`"data":{"productId":"mug","name":"Mug","price":0}}]}}`, source, stream, seq)
	}
	for _, x := range []struct {
		about, body string
		refused     bool
	}{
		{"in the plugin's name, far beyond the end of its log", forged("Catalog", "Catalog.Product#mug", 1_000_000), false},
		{"in the plugin's name, about a stream that there is not", forged("Catalog", "Catalog.Product#jug", 1_000_000), false},
		{"in somebody else's name", forged("Rogue", "Catalog.Product#mug", 1), true},
		{"about another plugin's stream", forged("Catalog", "Ordering.Order#o1", 0), true},
	} {
		t.Run(x.about, func(t *testing.T) {
			// Given a mug for 10 that Ordering has heard of
			s := newShop(t)
			s.given("Catalog.Product", "mug", "Add", `{"name":"Mug","description":"","price":10}`)
			s.availableFor(`"price":10`)

			// When an entry of the bus that no plugin put there says that it is for nothing
			out, err := s.platforms["Ordering"].inbox(t.Context(), "Ordering.CatalogProduct", events.SQSEvent{Records: []events.SQSMessage{{MessageId: "forged", Body: x.body}}})
			if refused := len(out.BatchItemFailures) == 1; err != nil || refused != x.refused {
				t.Errorf("refused %t, %v; expected %t", refused, err, x.refused)
			}
			s.settle()

			// Then it is for 10, and Ordering goes on hearing what Catalog says
			s.availableFor(`"price":10`)
			s.given("Catalog.Product", "mug", "UpdatePrice", `{"price":42}`)
			s.availableFor(`"price":42`)
		})
	}
}

func TestMetricsAreLinesInTheEmbeddedFormat(t *testing.T) {
	var b bytes.Buffer
	m := NewMetrics(&b)
	m.now = func() time.Time { return time.UnixMilli(1770091506007) }
	m.Count("SideEffectFailed", "effect:Ordering.SendOrderConfirmation")
	const want = `{"Consumer":"effect:Ordering.SendOrderConfirmation","Plugin":"Ordering","SideEffectFailed":1,` +
		`"_aws":{"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[["Plugin"],["Plugin","Consumer"]],"Metrics":[{"Name":"SideEffectFailed","Unit":"Count"}]}],"Timestamp":1770091506007}}` + "\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("line (-want +got):\n%s", d)
	}
}

// A right to ask for publications is none to sweep, or to tell of commits.
func TestWhoMayAskForPublicationsMayDoNothingElse(t *testing.T) {
	l := platformtest.Library{World: platformtest.NewWorld()}
	h := newServices(t, l.Plugins()).platform(l.Plugins()...).EventMapping("Lending")
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{
		InvokedFunctionArn: "arn:aws:lambda:us-east-1:123456789012:function:Shop-LendingEventMapping-1:" + wiring.PublicationsAlias,
	})
	for _, payload := range []string{`{"do":"sweep"}`, `{"do":"parked"}`, `{"do":"rebuild"}`, `{"Records":[]}`, `{}`, `[]`} {
		if out, err := h.Invoke(ctx, []byte(payload)); err == nil || !strings.Contains(err.Error(), "may ask for publications alone") {
			t.Errorf("%s is answered with %s, %v", payload, out, err)
		}
	}
	if out, err := h.Invoke(ctx, []byte(`{"do":"publications","point":"Lending.Books","stream":"nothing"}`)); err != nil || !strings.Contains(string(out), "nothing") {
		t.Errorf("publications of what is no stream: %s, %v", out, err)
	}
	if _, err := h.Invoke(t.Context(), []byte(`{"Records":[]}`)); err != nil {
		t.Errorf("the stream itself: %v", err)
	}
}

func TestWhatARefusedEmailIsLoggedWithIsNobodysAddress(t *testing.T) {
	c := newServices(t, nil)
	c.refusals = 1
	err := NewMailer(c.config(), c.wiring, "shop@example.com", "").Send(t.Context(), email.Message{ID: "m1", To: "ann@example.com", Subject: "Hello", Text: "Hello"})
	if err == nil || strings.Contains(err.Error(), "ann@example.com") || !strings.Contains(err.Error(), "Email address is not verified: the recipient") {
		t.Errorf("a refused e-mail: %v", err)
	}
}

func TestATaskIsToldHowTheUploaderSaysThatItsTextIsEncoded(t *testing.T) {
	c := newServices(t, nil)
	content := []byte("caf\xe9")
	c.objects["imports/a.csv"] = content
	for contentType, want := range map[string]string{
		"text/csv; charset=windows-1252": "windows-1252", `text/csv;charset="utf-8"`: "utf-8", "text/csv": "", "": "", "nothing; of=the=kind": "",
	} {
		c.types = map[string]string{"imports/a.csv": contentType}
		got := "not called"
		h := c.platform().Imports("Catalog", es.Task{Name: "Import", OnObject: func(_ context.Context, o es.Object, _ es.Shop) error {
			got = o.Charset
			return nil
		}})
		event, _ := json.Marshal(events.S3Event{Records: []events.S3EventRecord{announced("a.csv", content)}})
		if _, err := h.Invoke(t.Context(), event); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", contentType, got, err, want)
		}
	}
}

func TestAnObjectThatCantBeReadForLongIsSaidToBe(t *testing.T) {
	c := newServices(t, nil)
	c.objects["imports/a.csv"], c.forbidden = []byte("x"), map[string]bool{"imports/a.csv": true}
	p := c.platform()
	for age, want := range map[time.Duration]bool{0: false, time.Hour: true} {
		r := announced("a.csv", []byte("x"))
		r.EventTime = time.Now().Add(-age)
		o, err := p.object("Catalog.Import", r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Open(t.Context(), 0); err == nil || errors.Is(err, es.ErrUnreadable) != want {
			t.Errorf("after %s: %v; unreadable: want %t", age, err, want)
		}
	}
}

// metrics are CloudWatch's, by metric and the dimensions' values.
type metrics map[string][]float64

func (m metrics) GetMetricData(_ context.Context, in *cloudwatch.GetMetricDataInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error) {
	out := &cloudwatch.GetMetricDataOutput{}
	for _, q := range in.MetricDataQueries {
		values := []string{*q.MetricStat.Metric.MetricName}
		for _, d := range q.MetricStat.Metric.Dimensions {
			values = append(values, *d.Value)
		}
		slices.Sort(values[1:])
		out.MetricDataResults = append(out.MetricDataResults, cwtypes.MetricDataResult{Id: q.Id, Values: m[strings.Join(values, " ")]})
	}
	return out, nil
}

func TestHealthCountsWhatFailedToday(t *testing.T) {
	l := platformtest.Library{World: platformtest.NewWorld()}
	p := newCloud(t, l.Plugins()).platform(l.Plugins()...)
	p.cloudwatch = metrics{"SideEffectFailed Lending effect:Lending.Congratulate": {2, 0, 1}}
	h, err := p.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range h.Plugins[0].Consumers {
		if want := map[bool]int{true: 3}[c.Name == "effect:Lending.Congratulate"]; c.Failed != want {
			t.Errorf("%s failed %d times, want %d", c.Name, c.Failed, want)
		}
	}
}
