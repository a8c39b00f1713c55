package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"onlineshop/platform/aws/deployed"
	"onlineshop/platform/aws/wiring"
)

func TestANewerUploadReplacesARunningOne(t *testing.T) {
	takesLong(t)
	// Given a long file whose import has begun
	const key = "replaced.csv"
	bucket := output(t, deployed.ImportBucket)
	long, _ := rows("replaced-old-", 8_000)
	put(t, bucket, key, long)
	eventually(t, "the first import has begun", func() (bool, any) {
		r := run(t, key)
		return r.Status == "running" && r.Rows > 0, r
	})

	// When another file of that name is uploaded
	short, bad := rows("replaced-new-", 20)
	put(t, bucket, key, short)

	// Then the second one is imported whole, and the first one's run has ended
	r := ends(t, key, func(r importRun) bool { return r.Status == "finished" && r.Rows == 20+bad })
	if r.Added != 20 || r.Rejected != bad {
		t.Errorf("the run is %+v", r)
	}
	if n := len(imported(t, "replaced-new-")); n != 20 {
		t.Errorf("%d products of the second file are there, want 20", n)
	}
	for id := range imported(t, "replaced-new-") { // in the views of both plugins, behind what the first one left
		for _, view := range []string{"/catalog/products/", "/ordering/available-products/"} {
			eventually(t, id+" is in "+view, func() (bool, any) {
				a := admin(t).send(http.MethodGet, view+id, "")
				return a.Status == http.StatusOK, a.Status
			})
		}
	}
	events := typesOf(history(t, "catalog/product-import", key))
	if !strings.Contains(events, "Rejected Started") || strings.Count(events, "Started") != 2 || !strings.HasSuffix(events, "Finished") {
		t.Errorf("the import's history is %s", events)
	}
}

// overtaken is by how many those that are read side by side may pass one another anyway: a
// batch of a stream, and one for each of an inbox's readers.
const overtaken = 100 + 20*10

func TestLiveWorkPassesAnImport(t *testing.T) {
	takesLong(t)
	// Given a product that can be ordered, and a file that is being imported, of which much
	// waits for Ordering: in either inbox, wherever it was put
	const key, prefix, n, backlog, orders = "passed.csv", "passed-", 6_000, 1_000, 3
	ann, began := someone(t, "ann"), time.Now()
	products(t, "passing")
	ann.customer("passing-ann")
	ann.becomes("/ordering/customers/passing-ann", `{"id":"passing-ann","email":"passing-ann@example.com","address":"1 Main Street","deactivated":false}`)
	live, bulk := hold(t, "Ordering.CatalogProduct"), hold(t, "Ordering.CatalogProduct"+wiring.BulkInbox)
	content, _ := rows(prefix, n)
	put(t, output(t, deployed.ImportBucket), key, content)
	eventually(t, "much of the file waits for Ordering", func() (bool, any) {
		waits := live.count() + bulk.count()
		return waits >= backlog, waits
	})
	before := imported(t, prefix)
	latest := fmt.Sprintf("%s%d", prefix, slices.Max(numbers(t, prefix, before)))

	// When that begins to be read, orders are placed, and the price of the latest product is changed
	live.release()
	bulk.release()
	for i := range orders {
		ann.place(fmt.Sprintf("passing-%d", i), "passing-ann", "passing")
	}
	admin(t).must("/catalog/product/"+latest+"/update-price", `{"price":3}`)
	if r := run(t, key); r.Status != "running" {
		t.Fatalf("the import has ended, and nothing was asked for beside it: the file has to be longer; %+v", r)
	}

	// Then all that comes of these is done while much of what was there before them is not
	passed := func(what string) {
		t.Helper()
		there, err := streams(t.Context(), "Ordering.CatalogProduct")
		if err != nil {
			t.Fatal(err)
		}
		left := len(before)
		for _, id := range there {
			if before[id] {
				left--
			}
		}
		t.Logf("%s: Ordering does not have %d of the %d products yet that were imported before", what, left, len(before))
		if left <= overtaken {
			t.Errorf("%s, and Ordering has all but %d of the %d products that were imported before: what people ask for waits for the import; unless this emulator is so fast that it was done with both, and the file has to be longer", what, left, len(before))
		}
	}
	number := strings.TrimPrefix(latest, prefix)
	admin(t).becomes("/ordering/available-products/"+latest, `{"id":"`+latest+`","name":"Product `+number+`","price":3}`)
	passed("the new price is there")
	for i := range orders {
		id := fmt.Sprintf("passing-%d", i)
		ann.becomes("/ordering/orders/"+id, orderRow(id, "passing-ann", "shipped", "passing"))
	}
	passed("the orders are shipped")
	ann.becomes("/catalog/product-demands/passing", demandRow("passing", orders))
	passed("the orders are counted")

	// And the import, which has waited for those who read Catalog's stream, comes to its end
	ends(t, key, func(r importRun) bool { return r.Status == "finished" && r.Added == n })
	eventually(t, "the import's log says that it paused", func() (bool, any) {
		pauses := logged(t, function(t, "CatalogImportProducts"), began, "task pauses")
		return len(pauses) > 0, pauses
	})
}

// numbers are the ends of the products' ids.
func numbers(t *testing.T, prefix string, ids map[string]bool) (all []int) {
	t.Helper()
	for id := range ids {
		if n, err := strconv.Atoi(strings.TrimPrefix(id, prefix)); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// The last test, by the name of its file: it leaves the followers of products
// switched off, who would keep the emulator's few processors from the import.
func TestALongImportGoesOnUntilItIsDone(t *testing.T) {
	takesLong(t)
	// Given a file that takes several times what the function has, and whose
	// notification comes three times
	const n, key = 20_000, "Große Liste + mehr.csv"
	bucket, began := output(t, deployed.ImportBucket), time.Now()
	f := function(t, "CatalogImportProducts")
	switchOff(t)
	content, bad := rows("long-", n)
	put(t, bucket, key, content)
	eventually(t, "the import has begun", func() (bool, any) {
		r := run(t, key)
		return r.Status == "running", r
	})
	together(2, func(int) { notify(t, f, bucket, key) })

	// When it is done
	r := ends(t, key, func(r importRun) bool { return r.Status != "running" })

	// Then every good row is there once, and every bad one in the report
	if r.Status != "finished" || r.Rows != n+bad || r.Added != n || r.Unchanged != 0 || r.Rejected != bad {
		t.Errorf("the run is %+v, want %d rows added and %d rejected", r, n, bad)
	}
	if got := imported(t, "long-"); len(got) != n {
		t.Errorf("the log has %d products of the file, want %d", len(got), n)
	}
	if got := commits(t, "Catalog.Product", "long-"); got != n {
		t.Errorf("these products have %d commits, want one each", got)
	}
	if got := report(t, key); len(got) != bad {
		t.Errorf("the report has %d rows, want %d", len(got), bad)
	}
	// And it went on several times
	var runs []line
	eventually(t, "the function's log tells of its runs", func() (bool, any) {
		runs = logged(t, f, began, "task goes on in another run")
		return len(runs) >= 3, runs
	})
	t.Logf("it went on %d times", len(runs))
}

// commits counts those of an aggregate's streams whose ids begin with the prefix.
func commits(t *testing.T, aggregate, prefix string) (n int) {
	t.Helper()
	table := shop.stack.Wiring.Plugins["Catalog"].Events
	pages := dynamodb.NewScanPaginator(shop.tables, &dynamodb.ScanInput{
		TableName: &table, Select: dbtypes.SelectCount, ConsistentRead: awssdk.Bool(true),
		FilterExpression:          awssdk.String("begins_with(#s, :prefix)"),
		ExpressionAttributeNames:  map[string]string{"#s": wiring.Stream},
		ExpressionAttributeValues: map[string]dbtypes.AttributeValue{":prefix": &dbtypes.AttributeValueMemberS{Value: wiring.StreamKey(aggregate, prefix)}},
	})
	for pages.HasMorePages() {
		p, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatalf("count the commits of %s: %v", aggregate, err)
		}
		n += int(p.Count)
	}
	return n
}

// switchOff has no function read streams and inboxes any more.
func switchOff(t *testing.T) {
	t.Helper()
	out, err := shop.lambda.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out.EventSourceMappings {
		reader{t, *m.UUID}.enable(t.Context(), false)
	}
}

// notify has the function told of the object as its bucket has told it.
func notify(t *testing.T, function, bucket, key string) {
	head, err := shop.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Error(err)
		return
	}
	var upload struct{ Upload string }
	events := history(t, "catalog/product-import", key)
	if err := json.Unmarshal(events[0].Data, &upload); err != nil {
		t.Error(err)
		return
	}
	payload, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": map[string]any{
			"bucket": map[string]any{"name": bucket},
			"object": map[string]any{
				"key": url.QueryEscape(key), "size": *head.ContentLength, "eTag": strings.Trim(*head.ETag, `"`), "sequencer": upload.Upload,
			},
		},
	}}})
	if err != nil {
		t.Error(err)
		return
	}
	_, err = shop.lambda.Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: &function, InvocationType: lambdatypes.InvocationTypeEvent, Payload: payload,
	})
	if err != nil {
		t.Error(err)
	}
}
