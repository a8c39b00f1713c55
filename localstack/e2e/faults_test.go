package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/deployed"
	"onlineshop/platform/aws/wiring"
)

// parked are the consumers that are parked on a stream, e.g. Ordering.Order#o1.
func parked(t testing.TB, stream string) (consumers []string) {
	t.Helper()
	type key struct{ Consumer, Stream string }
	for _, k := range list[key](admin(t), "/operations/parked") {
		if k.Stream == stream {
			consumers = append(consumers, k.Consumer)
		}
	}
	slices.Sort(consumers)
	return consumers
}

func TestAPoisonEventParksItsStreamOnly(t *testing.T) {
	// Given a commit that nobody can read
	ann := someone(t, "ann")
	products(t, "poison-1")
	ann.customer("poison-ann")
	ann.place("poison-like", "poison-ann", "poison-1") // what the commit should have been like
	log := shop.engine.Log
	like, _, err := log.Read(t.Context(), engine.Stream{Aggregate: "Ordering.Order", ID: "poison-like"}, 0, 0)
	if err != nil || len(like) == 0 {
		t.Fatalf("the order that was placed: %v %v", like, err)
	}
	poison := like[0]
	poison.Stream.ID, poison.Hash = "poison", nil // or it would be damage
	good := poison.Events
	poison.Events = []es.StoredEvent{{Type: "Placed", Data: json.RawMessage(`{"customerId":"poison-ann","productIds":7}`)}}
	poison.Meta.Command.Origin, poison.Meta.MessageID = "key:poison", "poison"
	if err := log.Append(t.Context(), poison); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mend(t, poison, good) }) // whatever happens, others compare all rows with the log

	// Then everything that follows orders is parked on this one
	const stream = "Ordering.Order#poison"
	want := []string{"effect:Ordering.SendOrderConfirmation", "mapping:Ordering.AutoShip", "publication:Ordering.Orders", "readmodel:Ordering.CustomerStats", "readmodel:Ordering.OrderLines", "readmodel:Ordering.Orders"}
	eventually(t, "all consumers of orders are parked", func() (bool, any) {
		got := parked(t, stream)
		return slices.Equal(got, want), got
	})
	var health struct{ Status string }
	eventually(t, "the shop says that it is degraded", func() (bool, any) {
		health = read[struct{ Status string }](admin(t), "/health")
		return health.Status == "degraded", health
	})

	// And other orders go on
	ann.place("healthy", "poison-ann", "poison-1")
	ann.becomes("/ordering/orders/healthy", orderRow("healthy", "poison-ann", "shipped", "poison-1"))
	ann.becomes("/catalog/product-demands/poison-1", demandRow("poison-1", 2))

	// When the commit is mended and what is parked is tried again
	mend(t, poison, good)
	if got := command(t, "parked"); !strings.Contains(got, stream) {
		t.Errorf("shop parked does not show %s:\n%s", stream, got)
	}
	command(t, "redrive")

	// Then the outcome is as if it had never failed
	ann.becomes("/ordering/orders/poison", orderRow("poison", "poison-ann", "shipped", "poison-1"))
	ann.becomes("/catalog/product-demands/poison-1", demandRow("poison-1", 3))
	eventually(t, "nothing is parked", func() (bool, any) {
		got := parked(t, stream)
		return len(got) == 0, got
	})
	if got := typesOf(history(t, "ordering/order", "poison")); got != "Placed Shipped" {
		t.Errorf("the order's history is %s", got)
	}
	sameAsTheLog(t)
}

// mend gives a commit other events, behind everybody's back.
func mend(t *testing.T, c engine.Commit, events []es.StoredEvent) {
	t.Helper()
	text, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	_, err = shop.tables.UpdateItem(context.WithoutCancel(t.Context()), &dynamodb.UpdateItemInput{
		TableName: awssdk.String(shop.stack.Wiring.Plugins["Ordering"].Events),
		Key: map[string]types.AttributeValue{
			wiring.Stream: &types.AttributeValueMemberS{Value: wiring.StreamKey(c.Stream.Aggregate, c.Stream.ID)},
			wiring.Seq:    &types.AttributeValueMemberN{Value: fmt.Sprint(c.Seq)},
		},
		UpdateExpression:          awssdk.String("SET #e = :e"),
		ConditionExpression:       awssdk.String("attribute_exists(#e)"),
		ExpressionAttributeNames:  map[string]string{"#e": "events"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":e": &types.AttributeValueMemberS{Value: string(text)}},
	})
	if err != nil {
		t.Fatalf("mend %s: %v", c.Stream, err)
	}
}

// inbox is a queue whose messages reach nobody while it is held.
type inbox struct {
	reader
	url string
}

// reader is an event source mapping: it has a function read a queue or a stream.
type reader struct {
	*testing.T
	id string
}

// hold keeps an inbox's messages from its function until the test ends, or
// release.
func hold(t *testing.T, target string) inbox {
	t.Helper()
	q := inbox{reader{T: t}, shop.stack.Wiring.Inboxes[target]}
	attributes, err := shop.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatalf("inbox of %s: %v", target, err)
	}
	arn := attributes.Attributes["QueueArn"]
	out, err := shop.lambda.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{EventSourceArn: &arn})
	if err != nil || len(out.EventSourceMappings) != 1 {
		t.Fatalf("readers of the inbox of %s: %v %v", target, out, err)
	}
	q.id = *out.EventSourceMappings[0].UUID
	q.holds(0)
	t.Cleanup(func() { q.enable(context.WithoutCancel(t.Context()), true) })
	q.enable(t.Context(), false)
	return q
}

func (q inbox) release() { q.Helper(); q.enable(q.Context(), true) }

// enable has the function read on, or not, and waits until it is so.
func (r reader) enable(ctx context.Context, yes bool) {
	r.Helper()
	want := "Disabled"
	if yes {
		want = "Enabled"
	}
	state := func() (string, error) {
		m, err := shop.lambda.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &r.id})
		if err != nil {
			return "", err
		}
		return awssdk.ToString(m.State), nil
	}
	if now, err := state(); err == nil && now == want {
		return
	}
	if _, err := shop.lambda.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: &r.id, Enabled: &yes}); err != nil {
		r.Fatalf("let the reader be %s: %v", want, err)
	}
	eventually(r, "the reader is "+want, func() (bool, any) {
		now, err := state()
		return now == want, fmt.Sprint(now, err)
	})
}

// holds waits until that many messages are in the queue, those included that are
// not due yet. While the emulator hands a message out, it counts it nowhere: so the queue is
// to be found like that more than once.
func (q inbox) holds(n int) {
	q.Helper()
	const looks = 4
	times := 0
	eventually(q, fmt.Sprintf("the inbox holds %d messages", n), func() (bool, any) {
		found := q.count()
		if found != n {
			times = 0
			return false, found
		}
		times++
		return times == looks, found
	})
}

// count is how many messages are in the queue, seen or not.
func (q inbox) count() (n int) {
	q.Helper()
	out, err := shop.sqs.GetQueueAttributes(q.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})
	if err != nil {
		q.Fatal(err)
	}
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible"} {
		var some int
		if _, err := fmt.Sscan(out.Attributes[name], &some); err != nil {
			q.Fatalf("%s is %q", name, out.Attributes[name])
		}
		n += some
	}
	return n
}

func TestHintsMayComeTwiceAndLate(t *testing.T) {
	// Given orders whose hints wait in Catalog's inbox
	ann := someone(t, "ann")
	products(t, "twice-1")
	ann.customer("twice-ann")
	q := hold(t, "Catalog.ProductDemand")
	const n = 5
	for i := range n {
		ann.place(fmt.Sprintf("twice-%d", i), "twice-ann", "twice-1")
	}
	q.holds(n)

	// When each is sent three times more, in another order, and some arrive later
	for i, body := range q.bodies(n) {
		for copy := range int32(3) {
			_, err := shop.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body, DelaySeconds: (copy + int32(i)) % 4})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	q.release()

	// Then each order is counted once
	ann.becomes("/catalog/product-demands/twice-1", demandRow("twice-1", n))
	q.holds(0)
	if got := typesOf(history(t, "catalog/product-demand", "twice-1")); got != strings.TrimSpace(strings.Repeat("Recorded ", n)) {
		t.Errorf("the demand's history is %s", got)
	}
	sameAsTheLog(t)
}

// bodies are the messages' in the queue, which has n of them; they stay there.
func (q inbox) bodies(n int) (all []string) {
	q.Helper()
	seen := map[string]bool{}
	eventually(q, fmt.Sprintf("%d messages can be read", n), func() (bool, any) {
		out, err := shop.sqs.ReceiveMessage(q.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10, VisibilityTimeout: 5})
		if err != nil {
			q.Fatal(err)
		}
		for _, m := range out.Messages {
			if !seen[*m.MessageId] {
				seen[*m.MessageId] = true
				all = append(all, *m.Body)
			}
		}
		return len(all) == n, len(all)
	})
	slices.Reverse(all)
	return all
}

func TestAnOrderIsConfirmedOnceHoweverOftenItsHintComes(t *testing.T) {
	// Given an order whose confirmation is not sent yet
	ann := someone(t, "ann")
	products(t, "once-1")
	ann.customer("once-ann")
	q := hold(t, "Ordering")
	sent := puts(t, output(t, deployed.ReportBucket), wiring.EmailPrefix+"order-confirmation-once-1.eml")
	ann.place("once", "once-ann", "once-1")
	q.holds(1)

	// When its hint is sent several times more, at once
	hint := engine.Hint{Follower: "effect:Ordering.SendOrderConfirmation", Stream: engine.Stream{Aggregate: "Ordering.Order", ID: "once"}}
	const n = 5
	together(n, func(int) {
		if err := shop.engine.Hints.Send(t.Context(), 0, hint); err != nil {
			t.Error(err)
		}
	})
	q.holds(1 + n)

	// Then no two instances get one at a time
	var one *sqstypes.Message
	eventually(t, "a hint can be read", func() (bool, any) {
		one = q.take()
		return one != nil, one
	})
	if another := q.take(); another != nil {
		t.Errorf("while a hint is worked on, there is another on its order to be had: %s", *another.Body)
		q.giveBack(another)
	}
	q.giveBack(one)

	// And the e-mail is sent once
	q.release()
	q.holds(0)
	if got := sent(); got != 1 {
		t.Errorf("the confirmation was sent %d times", got)
	}
}

// take hides one message from others; nil: there is none to be had.
func (q inbox) take() *sqstypes.Message {
	q.Helper()
	out, err := shop.sqs.ReceiveMessage(q.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 1})
	if err != nil {
		q.Fatal(err)
	}
	if len(out.Messages) == 0 {
		return nil
	}
	return &out.Messages[0]
}

func (q inbox) giveBack(m *sqstypes.Message) {
	q.Helper()
	if _, err := shop.sqs.ChangeMessageVisibility(q.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		q.Fatal(err)
	}
}

// puts counts from now on how often an object is put, by the versions that the
// bucket keeps of it until the test ends.
func puts(t *testing.T, bucket, key string) (count func() int) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	keep := func(s s3types.BucketVersioningStatus) {
		t.Helper()
		_, err := shop.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: &bucket, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s},
		})
		if err != nil {
			t.Fatalf("versions of what is in %s: %v", bucket, err)
		}
	}
	keep(s3types.BucketVersioningStatusEnabled)
	t.Cleanup(func() { keep(s3types.BucketVersioningStatusSuspended) })
	return func() int {
		t.Helper()
		all, err := versions(ctx, bucket, key)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
}

// versions are those of the bucket's objects whose keys begin with the prefix.
func versions(ctx context.Context, bucket, prefix string) (all []s3types.ObjectVersion, err error) {
	pages := s3.NewListObjectVersionsPaginator(shop.s3, &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("versions of %s in %s: %w", prefix, bucket, err)
		}
		all = append(all, p.Versions...)
	}
	return all, nil
}

// empty removes all that is in the bucket: one that ever had versions goes no
// other way. What the last tests set off may still put something there, so it looks until
// nothing has come for a while.
func empty(ctx context.Context, bucket string) error {
	const looks = 8
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for times := 0; times < looks; <-tick.C {
		all, err := versions(ctx, bucket, "")
		if err != nil {
			return err
		}
		times++
		for _, v := range all {
			times = 0
			if _, err := shop.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: v.Key, VersionId: v.VersionId}); err != nil {
				return fmt.Errorf("remove %s from %s: %w", *v.Key, bucket, err)
			}
		}
	}
	return nil
}

func TestASweepFindsWhatNoHintTold(t *testing.T) {
	// Given orders, and products' prices, whose hints are all lost
	ann := someone(t, "ann")
	products(t, "lost-1", "lost-2")
	ann.customer("lost-ann")
	inboxes := []inbox{hold(t, "Catalog.ProductDemand"), hold(t, "Ordering.Order"), hold(t, "Ordering.CatalogProduct")}
	ann.place("lost-a", "lost-ann", "lost-1", "lost-2")
	ann.place("lost-b", "lost-ann", "lost-1")
	admin(t).must("/catalog/product/lost-2/update-price", `{"price":12.5}`)
	for i, n := range []int{2, 2, 1} { // an order's products are one message
		inboxes[i].holds(n)
	}
	for _, q := range inboxes {
		if _, err := shop.sqs.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &q.url}); err != nil {
			t.Fatal(err)
		}
		q.holds(0)
		q.release()
	}
	if got := typesOf(history(t, "ordering/order", "lost-a")); got != "Placed" {
		t.Fatalf("the order's history is %s before the sweep", got)
	}

	// When somebody sweeps
	command(t, "sweep")

	// Then nothing is missing
	ann.becomes("/ordering/orders/lost-a", orderRow("lost-a", "lost-ann", "shipped", "lost-1", "lost-2"))
	ann.becomes("/ordering/orders/lost-b", orderRow("lost-b", "lost-ann", "shipped", "lost-1"))
	ann.becomes("/catalog/product-demands/lost-1", demandRow("lost-1", 2))
	ann.becomes("/catalog/product-demands/lost-2", demandRow("lost-2", 1))
	admin(t).becomes("/ordering/available-products/lost-2", `{"id":"lost-2","name":"Tea","price":12.5}`)
	sameAsTheLog(t)
}

func TestADamagedViewIsRebuilt(t *testing.T) {
	// Given a row that is damaged
	products(t, "torn-1", "torn-2")
	table := shop.stack.Wiring.Rows["Catalog.Products"]
	_, err := shop.tables.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &table, Key: map[string]types.AttributeValue{wiring.Key: &types.AttributeValueMemberS{Value: "torn-1"}},
		UpdateExpression: awssdk.String("SET #v = :v"), ConditionExpression: awssdk.String("attribute_exists(#v)"),
		ExpressionAttributeNames:  map[string]string{"#v": "view"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":v": &types.AttributeValueMemberS{Value: `{"name":"Torn","description":"","price":1}`}},
	})
	if err != nil {
		t.Fatal(err)
	}
	admin(t).becomes("/catalog/products/torn-1", `{"id":"torn-1","name":"Torn","description":"","price":1}`)

	if got, err := attempt(t, "verify"); err == nil || !strings.Contains(got, "Catalog.Product#torn-1") || !strings.Contains(got, "wrong: 1;") {
		t.Errorf("shop verify does not find that row alone: %v\n%s", err, got)
	}

	// When the view is rebuilt
	command(t, "rebuild", "Catalog.Products")

	// Then it is what the log says, as is every other row
	admin(t).becomes("/catalog/products/torn-1", `{"id":"torn-1","name":"Tea","description":"","price":9.99}`)
	sameAsTheLog(t)
	command(t, "verify")
}

// sameAsTheLog waits until every row is the canonical fold of its sources' streams,
// and there are no others.
func sameAsTheLog(t *testing.T) {
	t.Helper()
	aggregates := map[string]es.AggregateDefinition{}
	for _, p := range shop.plugins {
		for _, a := range p.Aggregates {
			aggregates[a.Definition().Name] = a.Definition()
		}
	}
	eventually(t, "every row is what the log says", func() (bool, any) {
		for _, p := range shop.plugins {
			for _, m := range p.ReadModels {
				if err := compare(t.Context(), naming.Full(p.Name, m.Name()), m.Definition(), aggregates); err != nil {
					return false, err
				}
			}
		}
		return true, nil
	})
}

func compare(ctx context.Context, model string, m es.ReadModelDefinition, aggregates map[string]es.AggregateDefinition) error {
	ids, err := streams(ctx, m.Sources[0])
	if err != nil {
		return err
	}
	if m.Kind != es.ViewRows {
		return caughtUp(ctx, model, m.Sources[0], ids)
	}
	surplus, err := listed(ctx, model)
	if err != nil {
		return err
	}
	for _, id := range ids {
		delete(surplus, id)
		var view any
		for _, source := range m.Sources {
			commits, _, err := shop.engine.Log.Read(ctx, engine.Stream{Aggregate: source, ID: id}, 0, 0)
			if err != nil {
				return err
			}
			for _, c := range commits {
				if c, err = shop.engine.Opened(ctx, c); err != nil {
					return err
				}
				events, err := decode(aggregates[source], c)
				if err != nil {
					return err
				}
				for _, e := range events {
					view = m.Project(source, e, view)
				}
			}
		}
		row, err := shop.engine.Rows.Row(ctx, model, id)
		if err != nil {
			return err
		}
		var want []byte
		if view != nil {
			if want, err = m.Encode(view); err != nil {
				return err
			}
		}
		if string(row.View) != string(want) {
			return fmt.Errorf("%s of %s is %s, the log says %s", id, model, row.View, want)
		}
	}
	if len(surplus) > 0 {
		return fmt.Errorf("%s has rows that the log knows nothing of: %v", model, slices.Sorted(maps.Keys(surplus)))
	}
	return nil
}

// caughtUp returns an error unless the heads of a read model's rows are at the ends of
// their streams.
func caughtUp(ctx context.Context, model, source string, ids []string) error {
	for _, id := range ids {
		last, err := shop.engine.Log.ReadBackward(ctx, engine.Stream{Aggregate: source, ID: id}, math.MaxInt64)
		if err != nil {
			return err
		}
		head, err := shop.engine.Rows.Row(ctx, model, engine.ItemID(id, ""))
		if err != nil {
			return err
		}
		if at := head.At[source]; len(last) > 0 && at.Next <= last[0].Seq && (head.Rev > 0 || last[0].Seq > 0) { // a first commit that makes no rows leaves no head
			return fmt.Errorf("%s of %s is folded to %d, the log has %d", id, model, at.Next, last[0].Seq)
		}
	}
	return nil
}

// listed are the ids of a read model's rows.
func listed(ctx context.Context, model string) (map[string]bool, error) {
	ids := map[string]bool{}
	for cursor := ""; ; {
		page, next, err := shop.engine.Rows.List(ctx, engine.Query{Model: model, Limit: 200, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			ids[r.ID] = true
		}
		if cursor = next; cursor == "" {
			return ids, nil
		}
	}
}

// streams are the ids of an aggregate's.
func streams(ctx context.Context, aggregate string) (ids []string, err error) {
	for cursor := ""; ; {
		page, next, err := shop.engine.Log.Streams(ctx, aggregate, cursor)
		if err != nil {
			return nil, err
		}
		ids = append(ids, page...)
		if cursor = next; cursor == "" {
			return ids, nil
		}
	}
}

func decode(a es.AggregateDefinition, c engine.Commit) (events []es.Recorded[any], err error) {
	for i, s := range c.Events {
		decoded, err := a.DecodeEvent(s.Type, s.Version, s.Data)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s at %d", c.Stream, c.Seq), err)
		}
		m := c.Meta
		for _, e := range decoded {
			events = append(events, es.Recorded[any]{
				ID: c.Stream.ID, Event: e, Version: c.Version - int64(len(c.Events)) + int64(i) + 1, Time: m.Time,
				Meta: es.Meta{MessageID: m.MessageID, CorrelationID: m.CorrelationID, CausationID: m.CausationID, User: m.User, Owner: m.Owner, Service: m.Service},
			})
		}
	}
	return events, nil
}
