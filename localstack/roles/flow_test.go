package roles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/deployed"
	"onlineshop/platform/aws/wiring"
	"onlineshop/plugins"
)

// part is something that the shop does.
type part struct {
	name string
	do   func(walk)
}

// parts are all that it does, as far as it asks for permissions.
var parts = []part{
	{"it begins: followers get their start, cursors their key", begin},
	{"an order is shipped, counted and confirmed", order},
	{"a customer is erased", erasure},
	{"rows are read and listed", lists},
	{"a file is imported, with its report", imports},
	{"the catalogue is exported", export},
	{"a follower's command is refused, and that is listed", rejection},
	{"a hint comes too early", early},
	{"what is due later is sent in time", due},
	{"what failed is parked, skipped and tried again", parking},
	{"a follower's write fails, and is tried again", parkedFollowers},
	{"a sweep", func(w walk) { w.operate("sweep", "") }},
	{"views are compared with the log, and built again", rebuild},
	{"long histories get snapshots", snapshots},
	{"the shop tells how it is", health},
	{"an import goes on where its time ran out", longImport},
	{"a reader of a stream is late, and notes it", late},
}

// pluginNames are the deployed ones.
func pluginNames() []string { return []string{"Catalog", "Ordering"} }

// asks has a plugin's event mapping function do an operation, as the minute does.
func (w walk) asks(plugin, do string) {
	_, err := aws.Operate(w, shop.lambda, shop.stack.Wiring.Plugins[plugin].EventMapping, wiring.Operation{Do: do})
	w.ok(err, do+" of "+plugin)
}

// forget deletes an item of a plugin's cursors.
func (w walk) forget(plugin, key string) {
	_, err := shop.tables.DeleteItem(w, &dynamodb.DeleteItemInput{
		TableName: awssdk.String(shop.stack.Wiring.Plugins[plugin].Cursors),
		Key:       map[string]types.AttributeValue{wiring.Key: &types.AttributeValueMemberS{Value: key}},
	})
	w.ok(err, "forget "+key)
}

// functionOf is the physical name of the function whose logical id begins like that.
func functionOf(prefix string) string {
	for _, f := range shop.rights.functions {
		if strings.HasPrefix(f, "Shop-"+prefix) {
			return f
		}
	}
	panic("there is no function " + prefix)
}

func begin(w walk) {
	// Given a shop that has not kept yet when its followers began, and no key
	for _, p := range pluginNames() {
		w.forget(p, wiring.StartsKey)
		w.forget(p, wiring.HeartbeatKey)
		w.ok(shop.restart(w, functionOf(p+"EventMapping")), "restart")
	}
	w.forget("Catalog", wiring.CursorKey)
	w.ok(shop.restart(w, functionOf("Query")), "restart")
	// Then the minute brings that about, and a heartbeat
	for _, p := range pluginNames() {
		w.asks(p, wiring.DoTick)
	}
	w.must(http.MethodGet, "/operations/parked", "")
}

// products makes some that can be ordered.
func (w walk) products(ids ...string) {
	for _, id := range ids {
		w.post("/catalog/product/"+id+"/add", `{"name":"Tea","description":"","price":9.99}`)
	}
	for _, id := range ids {
		w.shows("/ordering/available-products/"+id, id)
	}
}

// place has the customer of the walk order.
func (w walk) place(order string, products ...string) {
	b, _ := json.Marshal(map[string]any{"customerId": "c" + w.id, "productIds": products})
	w.post("/ordering/order/"+order+"/place", string(b))
}

func (w walk) customer() {
	w.post("/ordering/customer/c"+w.id+"/register", `{"email":"c@example.com","address":"1 Lane"}`)
}

func order(w walk) {
	// Given a product that moves to another category, and a customer
	w.post("/catalog/category/k"+w.id+"/add", `{"name":"Kitchen"}`)
	w.post("/catalog/product/p"+w.id+"/add", `{"name":"Mug","description":"","price":7.5,"categoryId":"k`+w.id+`"}`)
	w.post("/catalog/product/p"+w.id+"/update-price", `{"price":6}`)
	w.shows("/ordering/available-products/p"+w.id, `"price":6`)
	w.shows("/catalog/categories/k"+w.id, "Kitchen")
	w.shows("/catalog/products?categoryId=k"+w.id, "p"+w.id)
	w.shows("/catalog/category-stats/k"+w.id, `"products":1`)
	w.post("/catalog/category/m"+w.id+"/add", `{"name":"Mugs"}`)
	w.post("/catalog/product/p"+w.id+"/change-category", `{"categoryId":"m`+w.id+`"}`)
	w.shows("/catalog/category-stats/m"+w.id, `"products":1`)
	w.lacks("/catalog/category-stats/k" + w.id)
	w.customer()
	w.shows("/ordering/customers/c"+w.id, "1 Lane")
	// When the customer orders it
	w.place("o"+w.id, "p"+w.id)
	// Then the order is shipped, counted and confirmed
	w.shows("/ordering/orders/o"+w.id, "shipped")
	w.shows("/catalog/product-demands/p"+w.id, `"orderCount":1`)
	w.shows("/ordering/order-lines/o"+w.id+"/items", "p"+w.id)
	w.shows("/ordering/order-lines?productId=p"+w.id, "o"+w.id)
	w.shows("/ordering/customer-stats/c"+w.id, `"orders":1`)
	w.keeps(true, "o"+w.id)
}

// confirmation is the name of an order's confirmation, where it is kept.
func confirmation(order string) string { return "order-confirmation-" + order + "-1.eml" }

// keeps waits until the order's confirmation is kept, or is not.
func (w walk) keeps(is bool, order string) {
	w.eventually(fmt.Sprintf("the confirmation of %s is kept: %t", order, is), func() (bool, any) {
		_, err := shop.s3.HeadObject(w, &s3.HeadObjectInput{
			Bucket: awssdk.String(shop.stack.Outputs[deployed.ReportBucket]), Key: awssdk.String(wiring.EmailPrefix + confirmation(order)),
		})
		return (err == nil) == is, err
	})
}

func erasure(w walk) {
	// Given a customer with an order that is confirmed
	first, second := "g"+w.id, "h"+w.id
	w.products("g" + w.id)
	w.customer()
	w.shows("/ordering/customers/c"+w.id, "1 Lane")
	w.place(first, "g"+w.id)
	w.keeps(true, first)
	// And one whose confirmation waits
	release := w.hold("Ordering")
	defer release()
	w.place(second, "g"+w.id)
	// When they are erased
	w.post("/ordering/customer/c"+w.id+"/erase", "")
	// Then nothing is left of them
	w.shows("/ordering/customers/c"+w.id, `"email":""`)
	w.keeps(false, first)
	// And not of the other confirmation either, which an attempt had kept that ended at once
	for _, key := range []string{wiring.AboutPlugin("Ordering") + "Ordering.Customer%23c" + w.id + "/", wiring.EmailPrefix} {
		_, err := shop.s3.PutObject(w, &s3.PutObjectInput{Bucket: awssdk.String(shop.stack.Outputs[deployed.ReportBucket]), Key: awssdk.String(key + confirmation(second))})
		w.ok(err, "keep "+key)
	}
	release()
	w.keeps(false, second)
}

func lists(w walk) {
	for _, path := range []string{
		"/catalog/categories", "/catalog/products", "/catalog/products?categoryId=none", "/catalog/products?sort=name", "/catalog/products?sort=price",
		"/catalog/product-demands", "/catalog/product-demands?sort=orderCount", "/catalog/product-imports", "/catalog/product-imports?sort=-startedAt",
		"/catalog/category-stats",
		"/ordering/available-products", "/ordering/customers", "/ordering/orders", "/ordering/orders?customerId=none", "/ordering/orders?sort=placedAt",
		"/ordering/order-lines", "/ordering/order-lines?productId=none", "/ordering/order-lines/none/items", "/ordering/customer-stats",
		"/catalog/product", "/ordering/order", // ids of aggregates
		"/operations/parked", "/operations/rejections?follower=mapping:Ordering.AutoShip", "/operations/rejections",
	} {
		w.must(http.MethodGet, path, "")
	}
	for _, path := range []string{"/ordering/customers", "/ordering/orders", "/ordering/order-lines", "/ordering/order-lines?productId=none", "/ordering/order-lines/none/items"} {
		w.must(http.MethodGet, path, "", "somebody") // who sees what is their own
	}
	for _, view := range []string{
		"catalog/categories", "catalog/products", "catalog/category-stats", "catalog/product-demands", "catalog/product-imports",
		"ordering/available-products", "ordering/customers", "ordering/customer-stats", "ordering/orders",
	} {
		if status, answer := w.send(http.MethodGet, "/"+view+"/none", ""); status != http.StatusNotFound {
			w.fail("a row of %s that is not there: %d %s", view, status, answer)
		}
	}
	for _, aggregate := range []string{"catalog/product", "ordering/order"} {
		w.must(http.MethodGet, "/"+aggregate+"/none/events", "")
	}
}

// upload puts a file where the shop says that it is to be put.
func (w walk) upload(key, content string) {
	var target struct{ Method, URL string }
	answer := w.must(http.MethodPost, "/catalog/product-imports/uploads", fmt.Sprintf(`{"key":%q,"size":%d}`, key, len(content)))
	w.ok(json.Unmarshal([]byte(answer), &target), "upload")
	r, err := http.NewRequestWithContext(w, target.Method, target.URL, strings.NewReader(content))
	w.ok(err, "upload")
	var to struct{ Headers map[string]string }
	w.ok(json.Unmarshal([]byte(answer), &to), "upload")
	for name, value := range to.Headers {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	w.ok(err, "upload")
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		w.fail("upload: %d %s", res.StatusCode, b)
	}
}

func imports(w walk) {
	key := "f" + w.id + ".csv"
	// Given a file that was uploaded often
	for seq := range int64(enough) {
		w.append(engine.Stream{Aggregate: "Catalog.ProductImport", ID: key}, seq, es.StoredEvent{Type: "Rejected", Data: json.RawMessage(`{"reason":"a test"}`)})
	}
	if status, answer := w.send(http.MethodGet, "/catalog/product-imports/none"+w.id+".csv/report", ""); status != http.StatusNotFound {
		w.fail("the report of a file that nobody uploaded: %d %s", status, answer)
	}
	// When it is uploaded again, with a bad row
	w.upload(key, "id,name,description,price\nf"+w.id+",Mug,,5\nx,Spoon,,cheap\n")
	// Then its rows are products, and the report tells of the bad one
	w.shows("/catalog/product-imports/"+key, `"finished"`)
	w.shows("/catalog/products/f"+w.id, "Mug")
	w.must(http.MethodGet, "/catalog/product-imports/"+key+"/report", "")
	// And it can be read what becomes of another, without doing it
	if answer := w.must(http.MethodPost, "/catalog/product-imports/dry.csv/check", `{}`); answer == "" {
		w.fail("nothing is said of a file")
	}
}

func export(w walk) {
	// Given a product, and a view that is to be folded again, whose rows are read one by one
	w.forget("Catalog", wiring.DeclaredKey)
	w.ok(shop.restart(w, functionOf("CatalogExportProducts")), "restart")
	w.post("/catalog/product/x"+w.id+"/add", `{"name":"Tea","description":"","price":9.99}`)
	w.shows("/catalog/products/x"+w.id, "Tea")
	// When the nightly export is asked for, and the minute is over
	const nightly = "Catalog.ExportProducts.Nightly"
	w.operate("run", `"schedule":"`+nightly+`"`)
	_, err := aws.Operate(w, shop.lambda, functionOf("CatalogExportProducts"), wiring.Operation{Do: wiring.DoTick})
	w.ok(err, "tick of the export")
	// Then the day's file has the product
	var schedules struct {
		Items []struct {
			Name    string
			Planned time.Time
		}
	}
	w.ok(json.Unmarshal([]byte(w.must(http.MethodGet, "/operations/schedules", "")), &schedules), "schedules")
	for _, s := range schedules.Items {
		if s.Name == nightly {
			w.shows("/catalog/export-products/products-"+s.Planned.UTC().Format(time.DateOnly)+".csv/report", "x"+w.id)
			return
		}
	}
	w.fail("there is no schedule %s: %v", nightly, schedules)
}

func longImport(w walk) {
	// Given a file of more rows than are done at a time, and a stream that is far behind, so that the task pauses
	var rows strings.Builder
	rows.WriteString("id,name,description,price\n")
	for i := range 510 {
		fmt.Fprintf(&rows, "l%s-%d,Mug,,5\n", w.id, i)
	}
	w.ok(shop.restart(w, functionOf("CatalogImportProducts")), "restart")
	behind := func() {
		_, err := shop.tables.PutItem(w, &dynamodb.PutItemInput{
			TableName: awssdk.String(shop.stack.Wiring.Plugins["Catalog"].Cursors), Item: map[string]types.AttributeValue{
				wiring.Key: &types.AttributeValueMemberS{Value: wiring.LagKey}, "lag": &types.AttributeValueMemberN{Value: "600"},
				"time": &types.AttributeValueMemberS{Value: time.Now().UTC().Add(time.Hour).Format(time.RFC3339Nano)},
			},
		})
		w.ok(err, "a lag")
	}
	behind()
	// When it is uploaded
	l, err := listen()
	w.ok(err, "listen")
	key := "l" + w.id + ".csv"
	w.upload(key, rows.String())
	// Then the function calls itself when its time is over, and goes on
	w.eventually("the function calls itself", func() (bool, any) {
		behind() // the stream's reader notes that it is not
		heard, err := l.heard()
		return slices.ContainsFunc(heard, func(a asked) bool {
			return a.Action == "lambda:InvokeFunction" && strings.Contains(a.Role, "ImportProducts")
		}), err
	})
	w.forget("Catalog", wiring.LagKey)
	w.shows("/catalog/product-imports/"+key, `"finished"`)
}

func late(w walk) {
	for _, p := range pluginNames() {
		// Given a projector that has noted nothing lately
		f := functionOf(p + "Projector")
		w.ok(shop.restart(w, f), "restart")
		// When it gets a batch that was written a minute ago
		var e events.DynamoDBEvent
		e.Records = []events.DynamoDBEventRecord{{Change: events.DynamoDBStreamRecord{
			ApproximateCreationDateTime: events.SecondsEpochTime{Time: time.Now().Add(-time.Minute)},
		}}}
		payload, err := json.Marshal(e)
		w.ok(err, "a batch")
		_, err = shop.lambda.Invoke(w, &lambda.InvokeInput{FunctionName: &f, Payload: payload})
		w.ok(err, "invoke "+f)
		// Then tasks can learn how late that is
		note, err := shop.tables.GetItem(w, &dynamodb.GetItemInput{
			TableName: awssdk.String(shop.stack.Wiring.Plugins[p].Cursors),
			Key:       map[string]types.AttributeValue{wiring.Key: &types.AttributeValueMemberS{Value: wiring.LagKey}},
		})
		w.ok(err, "read the note")
		if note.Item["viewLag"] == nil {
			w.fail("the projector of %s notes %v", p, note.Item)
		}
		w.forget(p, wiring.LagKey)
	}
}

// hold keeps what is in an inbox from its function; release lets it go on.
func (w walk) hold(inbox string) (release func()) {
	arn := "arn:aws:sqs:us-east-1:000000000000:" + shop.stack.Wiring.Inboxes[inbox][strings.LastIndex(shop.stack.Wiring.Inboxes[inbox], "/")+1:]
	out, err := shop.lambda.ListEventSourceMappings(w, &lambda.ListEventSourceMappingsInput{EventSourceArn: &arn})
	if err != nil || len(out.EventSourceMappings) != 1 {
		w.fail("readers of %s: %v %v", inbox, out, err)
	}
	enable := func(yes bool) {
		_, err := shop.lambda.UpdateEventSourceMapping(context.WithoutCancel(w), &lambda.UpdateEventSourceMappingInput{UUID: out.EventSourceMappings[0].UUID, Enabled: &yes})
		w.ok(err, "hold "+inbox)
	}
	enable(false)
	return func() { enable(true) }
}

func rejection(w walk) {
	// Given an order that is cancelled before it is shipped
	w.products("r" + w.id)
	w.customer()
	release := w.hold("Ordering.Order")
	defer release()
	w.place("r"+w.id, "r"+w.id)
	w.shows("/ordering/order-lines/r"+w.id+"/items", "r"+w.id)
	w.shows("/ordering/customer-stats/c"+w.id, `"orders":1`)
	w.post("/ordering/order/r"+w.id+"/cancel", "")
	// When shipping is tried
	release()
	// Then it is listed that it was refused, and the order counts nowhere
	w.shows("/operations/rejections?follower=mapping:Ordering.AutoShip", "Ordering.Order#r"+w.id)
	w.shows("/ordering/orders/r"+w.id, "cancelled")
	w.shows("/catalog/product-demands/r"+w.id, `"orderCount":0`)
	w.shows("/ordering/order-lines/r"+w.id+"/items", `"items":[]`)
	w.lacks("/ordering/customer-stats/c" + w.id)
}

func early(w walk) {
	// Given an order that is not to be shipped yet
	w.products("e" + w.id)
	w.customer()
	w.place("e"+w.id, "e"+w.id)
	// And its row is lost
	w.eventually("the row is there, and gone", func() (bool, any) { // one that is not there yet is folded for an answer
		out, err := shop.tables.DeleteItem(w, &dynamodb.DeleteItemInput{
			TableName: awssdk.String(shop.stack.Wiring.Rows["Ordering.Orders"]), ReturnValues: types.ReturnValueAllOld,
			Key: map[string]types.AttributeValue{wiring.Key: &types.AttributeValueMemberS{Value: "e" + w.id}},
		})
		return err == nil && len(out.Attributes) > 0, err
	})
	// When hints come at once, live and bulk
	for _, bulk := range []bool{false, true} {
		w.ok(shop.engine.Hints.Send(w, 0, engine.Hint{Follower: "mapping:Ordering.AutoShip", Stream: engine.Stream{Aggregate: "Ordering.Order", ID: "e" + w.id}, Seq: 0, Bulk: bulk}), "hint")
	}
	// Then it is shipped all the same
	w.shows("/ordering/orders/e"+w.id, "shipped")
}

func due(w walk) {
	// Given a hint that waits, until now
	const plugin = "Ordering"
	w.ok(shop.engine.Hints.Send(w, 16*time.Minute, engine.Hint{Follower: "mapping:Ordering.AutoShip", Stream: engine.Stream{Aggregate: "Ordering.Order", ID: "d" + w.id}}), "hint")
	w.dueNow(plugin)
	// When the minute is over
	w.asks(plugin, wiring.DoTick)
	// Then it waits no longer
	if n := len(w.waiting(plugin)); n > 0 {
		w.fail("%d hints still wait", n)
	}
}

// waiting are the hints that wait among a plugin's cursors.
func (w walk) waiting(plugin string) []map[string]types.AttributeValue {
	out, err := shop.tables.Scan(w, &dynamodb.ScanInput{
		TableName: awssdk.String(shop.stack.Wiring.Plugins[plugin].Cursors), FilterExpression: awssdk.String("begins_with(#k, :due)"),
		ExpressionAttributeNames:  map[string]string{"#k": wiring.Key},
		ExpressionAttributeValues: map[string]types.AttributeValue{":due": &types.AttributeValueMemberS{Value: wiring.DuePrefix}},
	})
	w.ok(err, "what waits")
	return out.Items
}

// dueNow lets the time pass for what waits.
func (w walk) dueNow(plugin string) {
	table := awssdk.String(shop.stack.Wiring.Plugins[plugin].Cursors)
	for _, i := range w.waiting(plugin) {
		w.forget(plugin, i[wiring.Key].(*types.AttributeValueMemberS).Value)
		order := i[wiring.Order].(*types.AttributeValueMemberS)
		_, rest, _ := strings.Cut(order.Value, "\n")
		order.Value = time.Now().UTC().Add(-time.Minute).Format("2006-01-02T15:04:05Z") + "\n" + rest
		i[wiring.Key] = &types.AttributeValueMemberS{Value: wiring.DuePrefix + order.Value}
		_, err := shop.tables.PutItem(w, &dynamodb.PutItemInput{TableName: table, Item: i})
		w.ok(err, "what waits")
	}
}

// parked are the consumers that are parked on a stream.
func (w walk) parked(stream string) (consumers []string) {
	for cursor := ""; ; {
		var p struct {
			Items []struct{ Consumer, Stream string }
			Next  string
		}
		w.ok(json.Unmarshal([]byte(w.must(http.MethodGet, "/operations/parked"+cursor, "")), &p), "parked")
		for _, k := range p.Items {
			if k.Stream == stream {
				consumers = append(consumers, k.Consumer)
			}
		}
		if cursor = "?cursor=" + url.QueryEscape(p.Next); p.Next == "" {
			slices.Sort(consumers)
			return consumers
		}
	}
}

// append appends a commit behind everybody's back.
func (w walk) append(stream engine.Stream, seq int64, events ...es.StoredEvent) engine.Commit {
	c := engine.Commit{Stream: stream, Seq: seq, Version: seq + int64(len(events)), Events: events, Meta: engine.Meta{
		Command: engine.CommandID{Origin: fmt.Sprintf("key:%s-%d", w.id, seq)}, MessageID: fmt.Sprintf("%s-%d", w.id, seq), CorrelationID: w.id, User: "local", Time: time.Now().UTC().Truncate(time.Millisecond),
	}}
	c.Meta.Service, _, _ = strings.Cut(stream.Aggregate, ".")
	err := shop.engine.Log.Append(w, c)
	if taken := (*engine.ConflictError)(nil); errors.As(err, &taken) && taken.Theirs.Meta.Command == c.Meta.Command {
		err = nil // the client had no answer, and asked again
	}
	w.ok(err, "append to "+stream.String())
	return c
}

func parking(w walk) {
	w.products("q" + w.id)
	w.customer()
	for _, x := range []struct {
		stream      engine.Stream
		event, good es.StoredEvent
		parked      []string
		skipped     string
	}{
		{
			engine.Stream{Aggregate: "Ordering.Order", ID: "q" + w.id},
			es.StoredEvent{Type: "Placed", Data: json.RawMessage(`{"customerId":"c","productIds":7}`)},
			es.StoredEvent{Type: "Placed", Data: json.RawMessage(`{"customerId":"c` + w.id + `","productIds":["q` + w.id + `"]}`)},
			[]string{"effect:Ordering.SendOrderConfirmation", "mapping:Ordering.AutoShip", "publication:Ordering.Orders", "readmodel:Ordering.CustomerStats", "readmodel:Ordering.OrderLines", "readmodel:Ordering.Orders"},
			"mapping:Ordering.AutoShip",
		},
		{
			engine.Stream{Aggregate: "Catalog.Product", ID: "bad" + w.id},
			es.StoredEvent{Type: "Added", Data: json.RawMessage(`{"name":7}`)},
			es.StoredEvent{Type: "Added", Data: json.RawMessage(`{"name":"Tea","description":"","price":1}`)},
			[]string{"publication:Catalog.Products", "readmodel:Catalog.CategoryStats", "readmodel:Catalog.ProductDemands", "readmodel:Catalog.Products"},
			"",
		},
	} {
		// Given a commit that nobody can read
		c := w.append(x.stream, 0, x.event)
		// Then everything that follows it is parked
		w.eventually("all are parked", func() (bool, any) {
			got := w.parked(x.stream.String())
			return slices.Equal(got, x.parked), got
		})
		// And again, where it is tried again
		w.operate("redrive", "")
		w.eventually("all are parked again", func() (bool, any) {
			answer := w.must(http.MethodGet, "/operations/parked", "")
			return strings.Count(answer, `"attempts":1,`) == 0, answer
		})
		// When an operator lets a follower pass over it
		if x.skipped != "" {
			w.post("/operations/skip", fmt.Sprintf(`{"consumer":%q,"stream":%q,"reason":"a test"}`, x.skipped, x.stream))
		}
		// And it is mended, and tried again
		w.mend(c, x.good)
		w.post("/operations/redrive", fmt.Sprintf(`{"consumer":%q,"stream":%q}`, x.parked[0], x.stream))
		w.operate("redrive", "")
		// Then nothing is parked
		w.eventually("none is parked", func() (bool, any) {
			got := w.parked(x.stream.String())
			return len(got) == 0, got
		})
	}
}

// mend gives a commit another event, behind everybody's back.
func (w walk) mend(c engine.Commit, event es.StoredEvent) {
	text, err := json.Marshal([]es.StoredEvent{event})
	w.ok(err, "mend")
	plugin, aggregate, _ := strings.Cut(c.Stream.Aggregate, ".")
	_, err = shop.tables.UpdateItem(context.WithoutCancel(w), &dynamodb.UpdateItemInput{
		TableName: awssdk.String(shop.stack.Wiring.Plugins[plugin].Events),
		Key: map[string]types.AttributeValue{
			wiring.Stream: &types.AttributeValueMemberS{Value: wiring.StreamKey(plugin+"."+aggregate, c.Stream.ID)},
			wiring.Seq:    &types.AttributeValueMemberN{Value: fmt.Sprint(c.Seq)},
		},
		UpdateExpression: awssdk.String("SET #e = :e"), ExpressionAttributeNames: map[string]string{"#e": "events"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":e": &types.AttributeValueMemberS{Value: string(text)}},
	})
	w.ok(err, "mend "+c.Stream.String())
}

// parkedFollowers has the functions of extensions fail, by what they may not for a while.
func parkedFollowers(w walk) {
	w.customer()
	for _, x := range []struct{ function, follower, stream string }{
		{"OrderingCatalogProductCommand", "extension:Ordering.Products_Extension", "Catalog.Product#g" + w.id},
		{"CatalogProductDemandCommand", "extension:Catalog.Orders_Extension", "Ordering.Order#g" + w.id},
	} {
		i := slices.IndexFunc(shop.rights.all, func(p permission) bool {
			return p.function == x.function && p.action == "dynamodb:PutItem" && strings.Contains(p.resource, "Events")
		})
		appends := shop.rights.all[i]
		if withheld[appends] { // it is what is tried
			continue
		}
		w.ok(shop.withhold(w, appends, true), "withhold")
		back := func() error { return shop.withhold(context.WithoutCancel(w), appends, false) }
		defer func() { _ = back() }()
		if x.function == "OrderingCatalogProductCommand" {
			w.post("/catalog/product/g"+w.id+"/add", `{"name":"Tea","description":"","price":9.99}`)
		} else {
			w.shows("/ordering/available-products/g"+w.id, "Tea")
			w.place("g"+w.id, "g"+w.id)
		}
		w.eventually(x.follower+" is parked", func() (bool, any) {
			got := w.parked(x.stream)
			return slices.Contains(got, x.follower), got
		})
		w.must(http.MethodGet, "/operations/trace?version=1&stream="+url.QueryEscape(x.stream), "") // which tells of it
		w.ok(back(), "give back")
		w.operate("redrive", "")
		w.eventually("it is parked no longer", func() (bool, any) {
			got := w.parked(x.stream)
			return len(got) == 0, got
		})
	}
	w.shows("/catalog/product-demands/g"+w.id, `"orderCount":1`)
}

func rebuild(w walk) {
	for _, p := range plugins.All(plugins.NoDeps{}) {
		for _, m := range p.ReadModels {
			// Given a row that is not what the log says
			name := naming.Full(p.Name, m.Name())
			w.damage(name, m.Definition().Kind)
			// Then that is told, and it is built again
			w.operate("rebuild", `"readModel":"`+name+`","check":true,`)
			w.operate("rebuild", `"readModel":"`+name+`",`)
		}
	}
}

// damage changes what is stored of a view.
func (w walk) damage(view string, kind es.ViewKind) {
	table := shop.stack.Wiring.Rows[view]
	out, err := shop.tables.Scan(w, &dynamodb.ScanInput{TableName: &table})
	w.ok(err, "rows of "+view)
	put := func(i map[string]types.AttributeValue) {
		_, err := shop.tables.PutItem(w, &dynamodb.PutItemInput{TableName: &table, Item: i})
		w.ok(err, "damage "+view)
	}
	for _, i := range out.Items {
		sub, _ := i[wiring.Sub].(*types.AttributeValueMemberS)
		head := sub != nil && sub.Value == "="
		counted, _ := i["view"].(*types.AttributeValueMemberS)
		switch {
		case kind == es.ViewRows: // one is lost
			_, err := shop.tables.DeleteItem(w, &dynamodb.DeleteItemInput{TableName: &table, Key: map[string]types.AttributeValue{wiring.Key: i[wiring.Key]}})
			w.ok(err, "lose a row of "+view)
			return
		case kind == es.ViewItems && head: // a stream has one too many
			sub.Value = "=none" + w.id
			i["view"] = &types.AttributeValueMemberS{Value: "{}"}
			put(i)
			return
		case kind == es.ViewKeyed && head && counted != nil: // a stream has one part too many
			var parts map[string]json.RawMessage
			w.ok(json.Unmarshal([]byte(counted.Value), &parts), "parts of "+view)
			for _, part := range parts {
				parts["none"+w.id] = part
				break
			}
			text, err := json.Marshal(parts)
			w.ok(err, "parts of "+view)
			counted.Value = string(text)
			put(i)
			return
		}
	}
	w.fail("there is nothing of %s to damage", view)
}

// enough commits have a snapshot written.
const enough = 101

func snapshots(w walk) {
	w.products("s" + w.id)
	w.customer()
	w.post("/catalog/category/s"+w.id+"/add", `{"name":"Kitchen"}`)
	// Given long histories, that of the product in both plugins
	for seq := int64(1); seq < enough; seq++ {
		w.append(engine.Stream{Aggregate: "Catalog.ProductDemand", ID: "s" + w.id}, seq-1, es.StoredEvent{Type: "Recorded", Data: json.RawMessage(fmt.Sprintf(`{"orderId":"s%s-%d"}`, w.id, seq))})
		w.append(engine.Stream{Aggregate: "Catalog.Product", ID: "s" + w.id}, seq, es.StoredEvent{Type: "PriceUpdated", Data: json.RawMessage(fmt.Sprintf(`{"price":%d}`, seq))})
		w.append(engine.Stream{Aggregate: "Ordering.Customer", ID: "c" + w.id}, seq, es.StoredEvent{Type: "AddressUpdated", Data: json.RawMessage(fmt.Sprintf(`{"address":"%d Lane"}`, seq))})
		w.append(engine.Stream{Aggregate: "Catalog.Category", ID: "t" + w.id}, seq-1, es.StoredEvent{Type: "Added", Data: json.RawMessage(`{"name":"Kitchen"}`)})
	}
	for _, f := range []string{"CatalogProductCommand", "OrderingCustomerCommand", "CatalogCategoryCommand", "OrderingCatalogProductCommand", "CatalogProductDemandCommand"} {
		w.ok(shop.restart(w, functionOf(f)), "restart")
	}
	// When one more comes
	w.post("/catalog/product/s"+w.id+"/update-price", `{"price":2000}`)
	w.post("/ordering/customer/c"+w.id+"/update-address", `{"address":"The Lane"}`)
	w.post("/catalog/category/t"+w.id+"/archive", "")
	w.shows("/ordering/available-products/s"+w.id, `2000`)
	w.place("s"+w.id, "s"+w.id)
	w.shows("/catalog/product-demands/s"+w.id, `"orderCount":101`)
	// Then each has one
	for stream, table := range map[string]string{
		"Catalog.Product#s" + w.id: "CatalogProduct", "Ordering.Customer#c" + w.id: "OrderingCustomer", "Catalog.Category#t" + w.id: "CatalogCategory",
		"Ordering.CatalogProduct#s" + w.id: "OrderingCatalogProduct", "Catalog.ProductDemand#s" + w.id: "CatalogProductDemand",
	} {
		w.eventually("there is a snapshot of "+stream, func() (bool, any) {
			plugin, _, _ := strings.Cut(stream, ".")
			snapshots := wired(table + "Command").Plugins[plugin].Snapshots
			out, err := shop.tables.GetItem(w, &dynamodb.GetItemInput{TableName: &snapshots, Key: map[string]types.AttributeValue{wiring.Key: &types.AttributeValueMemberS{Value: stream}}})
			return err == nil && out.Item != nil, err
		})
	}
}

// wired is what a function is told of the others.
func wired(function string) (v wiring.Wiring) {
	name := functionOf(function)
	out, err := shop.lambda.GetFunctionConfiguration(context.Background(), &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err == nil {
		err = json.Unmarshal([]byte(out.Environment.Variables[wiring.Variable]), &v)
	}
	if err != nil {
		panic(failure{err})
	}
	return v
}

func health(w walk) {
	w.ok(shop.restart(w, functionOf("Query")), "restart") // it keeps an answer for a while
	w.must(http.MethodGet, "/health", "")
	for _, p := range pluginNames() {
		w.asks(p, wiring.DoHeartbeat)
	}
}
