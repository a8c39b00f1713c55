package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
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
