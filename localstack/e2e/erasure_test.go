package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/deployed"
	"onlineshop/platform/aws/wiring"
)

func TestNothingOfACustomerIsLeftOnceTheyAreErased(t *testing.T) {
	const email, address = "zaphod-quendelstein@planted.example", "4711 Trillianweg"
	began := time.Now().Add(-time.Minute) // by the emulator's clock, too
	search := func() []string { return searched(t, began, email, address, "quendelstein", "Trillianweg") }
	// Given two customers, each with an order that is shipped and confirmed
	products(t, "erasing-tea")
	zaphod, ford := someone(t, "erasing-z"), someone(t, "erasing-f")
	zaphod.must("/ordering/customer/erasing-z/register", fmt.Sprintf(`{"email":%q,"address":%q}`, email, address))
	ford.customer("erasing-f")
	confirmation := func(order string) string { return wiring.EmailPrefix + "order-confirmation-" + order + "-1.eml" }
	for order, u := range map[string]user{"erasing-1": zaphod, "erasing-2": ford} {
		u.place(order, u.name, "erasing-tea")
		u.becomes("/ordering/orders/"+order, orderRow(order, u.name, "shipped", "erasing-tea"))
		eventually(t, "the confirmation of "+order+" is kept", func() (bool, any) {
			_, err := object(t, output(t, deployed.ReportBucket), confirmation(order))
			return err == nil, err
		})
	}
	admin(t).becomes("/ordering/customers/erasing-z", fmt.Sprintf(`{"id":"erasing-z","email":%q,"address":%q,"deactivated":false}`, email, address))
	// Then what is personal is in the confirmation alone
	if got, want := search(), []string{"object " + output(t, deployed.ReportBucket) + "/" + confirmation("erasing-1")}; !slices.Equal(got, want) {
		t.Errorf("before the erasure, what is personal is in\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What is to stay: all of the other's, and the order
	others := func() string {
		t.Helper()
		var all strings.Builder
		for _, path := range []string{
			"/ordering/customers/erasing-f", "/ordering/orders/erasing-1", "/ordering/orders/erasing-2", "/ordering/order-lines/erasing-1/items", "/ordering/order-lines/erasing-2/items",
			"/ordering/customer-stats/erasing-z", "/ordering/customer-stats/erasing-f", "/catalog/product-demands/erasing-tea",
			"/ordering/customer/erasing-f/events", "/ordering/order/erasing-1/events", "/ordering/order/erasing-2/events",
		} {
			a := admin(t).send(http.MethodGet, path, "")
			if a.Status != http.StatusOK {
				t.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
			}
			fmt.Fprintf(&all, "%s: %s\n", path, a.Body)
		}
		mail, err := object(t, output(t, deployed.ReportBucket), confirmation("erasing-2"))
		if err != nil {
			t.Fatal(err)
		}
		return all.String() + mail
	}
	for path, text := range map[string]string{
		"/ordering/customer-stats/erasing-z": `"orders":1`, "/ordering/customer-stats/erasing-f": `"orders":1`,
		"/ordering/order-lines/erasing-1/items": "erasing-tea", "/ordering/order-lines/erasing-2/items": "erasing-tea",
	} {
		eventually(t, path+" has "+text, func() (bool, any) {
			a := admin(t).send(http.MethodGet, path, "")
			return strings.Contains(string(a.Body), text), string(a.Body)
		})
	}
	admin(t).becomes("/catalog/product-demands/erasing-tea", demandRow("erasing-tea", 2))
	was := others()

	// When one is erased
	admin(t).must("/ordering/customer/erasing-z/erase", "{}")
	follower, stream := "erasure:Ordering.Customer", engine.Stream{Aggregate: "Ordering.Customer", ID: "erasing-z"}
	eventually(t, "the erasure is through", func() (bool, any) {
		c, err := shop.engine.Cursors.Cursor(t.Context(), follower, stream)
		return err == nil && c.Next > 1 && !c.Parked, fmt.Sprint(c, err)
	})

	// Then nothing of them is left anywhere, and all else is as it was
	erased := func(when string) {
		t.Helper()
		if got := search(); got != nil {
			t.Errorf("%s, what is personal is in\n%s", when, strings.Join(got, "\n"))
		}
		if is := others(); is != was {
			t.Errorf("%s, the others are\n%s\nwant\n%s", when, is, was)
		}
		admin(t).becomes("/ordering/customers/erasing-z", `{"id":"erasing-z","email":"","address":"","deactivated":false,"erased":true}`)
	}
	erased("after the erasure")
	// And nothing brings it back
	command(t, "rebuild", "Ordering.Customers")
	erased("after a rebuild")
}

// searched are the places in the stack's account that have one of the texts: items of
// tables, messages of queues, objects of buckets with all their versions, and what was logged
// since then.
func searched(t *testing.T, since time.Time, texts ...string) (places []string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var forms [][]byte
	for _, text := range texts {
		forms = append(forms, []byte(text))
		for before := range 3 { // it begins anywhere in what is encoded
			encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("-", before) + text))
			forms = append(forms, []byte(encoded[4:len(encoded)-4])) // without what depends on its neighbours
		}
	}
	kinds := map[string]int{}
	look := func(kind, place string, content []byte) {
		kinds[kind]++
		if bytes.HasPrefix(content, []byte("\x1f\x8b")) { // a snapshot
			z, err := gzip.NewReader(bytes.NewReader(content))
			must(err)
			content, err = io.ReadAll(z)
			must(err)
		}
		place = kind + " " + place
		if !slices.Contains(places, place) && slices.ContainsFunc(forms, func(f []byte) bool { return bytes.Contains(content, f) }) {
			places = append(places, place)
		}
	}

	tables := dynamodb.NewListTablesPaginator(shop.tables, &dynamodb.ListTablesInput{})
	for tables.HasMorePages() {
		page, err := tables.NextPage(t.Context())
		must(err)
		for _, table := range page.TableNames {
			items := dynamodb.NewScanPaginator(shop.tables, &dynamodb.ScanInput{TableName: &table, ConsistentRead: awssdk.Bool(true)})
			for items.HasMorePages() {
				page, err := items.NextPage(t.Context())
				must(err)
				for _, item := range page.Items {
					for name, value := range item {
						for _, content := range contents(value) {
							look("item", table+" "+name, content)
						}
					}
				}
			}
		}
	}

	queues := sqs.NewListQueuesPaginator(shop.sqs, &sqs.ListQueuesInput{})
	for queues.HasMorePages() {
		page, err := queues.NextPage(t.Context())
		must(err)
		for _, queue := range page.QueueUrls {
			kinds["queue"]++
			for _, m := range visible(t, queue) {
				look("message", queue, []byte(*m.Body))
			}
		}
	}

	buckets, err := shop.s3.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	must(err)
	for _, b := range buckets.Buckets {
		if strings.HasPrefix(*b.Name, "cdk-") { // the CDK's own: programs, from before
			continue
		}
		versions := s3.NewListObjectVersionsPaginator(shop.s3, &s3.ListObjectVersionsInput{Bucket: b.Name})
		for versions.HasMorePages() {
			page, err := versions.NextPage(t.Context())
			must(err)
			for _, v := range page.Versions {
				in := &s3.GetObjectInput{Bucket: b.Name, Key: v.Key}
				if id := awssdk.ToString(v.VersionId); id != "null" {
					in.VersionId = &id
				}
				out, err := shop.s3.GetObject(t.Context(), in)
				must(err)
				content, err := io.ReadAll(out.Body)
				must(err)
				must(out.Body.Close())
				place := *b.Name + "/" + *v.Key
				look("object", place, content)
				look("object", place, []byte(place))
			}
		}
	}

	groups := cloudwatchlogs.NewDescribeLogGroupsPaginator(shop.logs, &cloudwatchlogs.DescribeLogGroupsInput{})
	for groups.HasMorePages() {
		page, err := groups.NextPage(t.Context())
		must(err)
		for _, g := range page.LogGroups {
			lines := cloudwatchlogs.NewFilterLogEventsPaginator(shop.logs, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: g.LogGroupName, StartTime: awssdk.Int64(since.UnixMilli())})
			for lines.HasMorePages() {
				page, err := lines.NextPage(t.Context())
				must(err)
				for _, e := range page.Events {
					look("line", *g.LogGroupName, []byte(awssdk.ToString(e.Message)))
				}
			}
		}
	}

	for _, kind := range []string{"item", "queue", "object", "line"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s was found at all", kind)
		}
	}
	t.Logf("searched: %v", kinds)
	slices.Sort(places)
	return places
}

// contents are the texts and bytes in a value, as they are.
func contents(value types.AttributeValue) (all [][]byte) {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		all = append(all, []byte(v.Value))
	case *types.AttributeValueMemberB:
		all = append(all, v.Value)
	case *types.AttributeValueMemberSS:
		for _, s := range v.Value {
			all = append(all, []byte(s))
		}
	case *types.AttributeValueMemberBS:
		all = append(all, v.Value...)
	case *types.AttributeValueMemberL:
		for _, x := range v.Value {
			all = append(all, contents(x)...)
		}
	case *types.AttributeValueMemberM:
		for name, x := range v.Value {
			all = append(append(all, []byte(name)), contents(x)...)
		}
	}
	return all
}

// visible are the messages of a queue that can be received. Then they are for others again.
func visible(t *testing.T, queue string) (all []sqstypes.Message) {
	t.Helper()
	defer func() {
		for _, m := range all {
			_, err := shop.sqs.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
			if err != nil {
				t.Errorf("give %s back to %s: %v", *m.MessageId, queue, err)
			}
		}
	}()
	for {
		out, err := shop.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &queue, MaxNumberOfMessages: 10, VisibilityTimeout: 60})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return all
		}
		all = append(all, out.Messages...)
	}
}
