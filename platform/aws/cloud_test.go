package aws

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// cloud is as much of AWS as a platform works with: DynamoDB Local, and a server
// that plays SQS, EventBridge, Lambda and S3. What the tables' streams, the bus
// and the queues would carry waits for deliver.
type cloud struct {
	t        testing.TB
	server   *httptest.Server
	dynamodb dynamoDBLocal
	plugins  []es.Plugin
	wiring   wiring.Wiring

	mu        sync.Mutex
	handlers  map[string]lambda.Handler // by function
	rules     map[string][]string       // extension point → inboxes
	waiting   []delivery
	published []busEvent
	refusals  int                  // how many more messages and entries are refused
	objects   map[string][]byte    // bucket/key
	emails    []map[string]any     // that SES was asked to send
	types     map[string]string    // content types of objects, by key
	forbidden map[string]bool      // objects that can't be read
	changes   int                  // of objects that S3 tells of
	usage     *usage               // nil: nobody counts
	platforms map[string]*Platform // by plugin
	invoked   map[string]int       // how often deliver called each function

	versions map[string]int              // how many earlier versions of an object its bucket has kept, by bucket/key
	asked    func(r *http.Request) error // whether S3 answers a request; nil: always
}

// delivery is an event on its way to a function.
type delivery struct {
	function string
	record   any    // of DynamoDB or SQS
	payload  []byte // in its place: what another function calls it with
	delay    int32
	tries    int
}

// newCloud makes the plugins' tables in DynamoDB Local, and one platform per
// plugin for its functions, as they are deployed. Without DynamoDB Local the
// test is skipped.
func newCloud(t testing.TB, plugins []es.Plugin) *cloud {
	t.Helper()
	endpoint := os.Getenv("SHOP_DYNAMODB_ENDPOINT")
	if endpoint == "" {
		t.Skip("SHOP_DYNAMODB_ENDPOINT is not set: this test needs DynamoDB Local, which make e2e starts")
	}
	c := newServices(t, plugins)
	c.dynamodb = dynamoDBLocal(endpoint)
	c.makeTables()
	c.deploy(plugins)
	return c
}

// deploy makes the functions of the plugins, on the tables that are there.
func (c *cloud) deploy(plugins []es.Plugin) {
	for _, x := range plugins {
		p := c.platform(x)
		c.platforms[x.Name] = p
		c.handlers[x.Name+"-projector"] = p.Projector(x.Name)
		c.handlers[x.Name+"-eventmapping"] = p.EventMapping(x.Name)
		for _, t := range x.Tasks {
			c.handlers[naming.Full(x.Name, t.Name)] = p.Imports(x.Name, t)
		}
		for inbox := range c.wiring.Inboxes {
			if naming.Plugin(inbox) == x.Name {
				c.handlers[inbox] = p.Inbox(aggregateOf(strings.TrimSuffix(inbox, wiring.BulkInbox)))
				c.handlers[inbox+boundary] = c.handlers[inbox]
			}
		}
	}
}

// newServices is the cloud without DynamoDB.
func newServices(t testing.TB, plugins []es.Plugin) *cloud {
	c := &cloud{t: t, plugins: plugins, handlers: map[string]lambda.Handler{}, rules: map[string][]string{}, objects: map[string][]byte{}, versions: map[string]int{}, invoked: map[string]int{}, platforms: map[string]*Platform{}}
	c.server = httptest.NewServer(c)
	t.Cleanup(c.server.Close)
	c.wire()
	return c
}

// wire names the resources as the plugins' definitions ask for them.
func (c *cloud) wire() {
	c.wiring = wiring.Wiring{
		Plugins: map[string]wiring.PluginWiring{}, Rows: map[string]string{}, Inboxes: map[string]string{}, Bus: "bus", Reports: "reports", Shelves: map[string]string{},
	}
	inbox := func(of string) string {
		c.wiring.Inboxes[of] = c.server.URL + "/000000000000/" + of
		if aggregateOf(of) == "" {
			c.wiring.Inboxes[of] += ".fifo"
		} else {
			c.wiring.Inboxes[of+wiring.BulkInbox] = c.wiring.Inboxes[of] + wiring.BulkInbox
		}
		return of
	}
	for _, x := range c.plugins {
		n := c.name() + x.Name
		c.wiring.Plugins[x.Name] = wiring.PluginWiring{
			Events: n + "Events", Cursors: n + "Cursors", Parked: n + "Parked", Snapshots: n + "Snapshots", Keys: n + "Keys", EventMapping: x.Name + "-eventmapping",
		}
		for _, m := range x.ReadModels {
			c.wiring.Rows[naming.Full(x.Name, m.Name())] = n + m.Name()
		}
		for _, m := range x.Mappings {
			inbox(m.Target)
		}
		for _, d := range x.Extensions {
			for _, point := range channels(c.plugins, d) {
				c.rules[point] = append(c.rules[point], inbox(d.Target))
			}
		}
		for _, task := range x.Tasks {
			for _, b := range task.Buckets {
				c.wiring.Shelves[b.Name] = "shelf-" + b.Name
			}
			for _, d := range task.SideEffects {
				inbox(x.Name)
				if of := x.Name + boundary; d.Point.Name != "" && !slices.Contains(c.rules[d.Point.Name], of) {
					c.rules[d.Point.Name] = append(c.rules[d.Point.Name], of)
				}
			}
		}
	}
}

// boundary ends the name of the queue of what a plugin's side effects hear of others.
const boundary = ":boundary"

// channels are the names under which what an extension listens to is on the bus: of an
// accepting one, a name for each plugin that asks.
func channels(plugins []es.Plugin, x es.Extension) (points []string) {
	for _, p := range plugins {
		for _, d := range p.Publications {
			if d.Point.Name == x.Point.Name && !x.Accepts || x.Accepts && d.Asks && naming.Short(d.Point.Name) == x.Point.Name {
				points = append(points, d.Point.Name)
			}
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// name begins the names of this test's tables.
func (c *cloud) name() string {
	h := md5.Sum([]byte(c.t.Name() + c.server.URL))
	return "t" + hex.EncodeToString(h[:6])
}

func (c *cloud) makeTables() {
	db := dynamodb.NewFromConfig(c.config())
	attribute := func(name string, typ types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: typ}
	}
	key := func(name string, typ types.KeyType) types.KeySchemaElement {
		return types.KeySchemaElement{AttributeName: &name, KeyType: typ}
	}
	table := func(name string, keys []types.AttributeDefinition, indexes ...string) { // an index is a key, or two with a slash between, and before them, with a colon, its name if that is another
		in := &dynamodb.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest, AttributeDefinitions: keys}
		for i, a := range keys {
			in.KeySchema = append(in.KeySchema, key(*a.AttributeName, []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]))
		}
		for _, index := range indexes {
			keys, sort, sorted := strings.Cut(index, "/")
			index, partition, named := strings.Cut(keys, ":")
			if !named {
				partition = index
			}
			if !slices.ContainsFunc(in.AttributeDefinitions, func(a types.AttributeDefinition) bool { return *a.AttributeName == partition }) {
				in.AttributeDefinitions = append(in.AttributeDefinitions, attribute(partition, types.ScalarAttributeTypeS))
			}
			if !sorted {
				sort = wiring.Key
			} else {
				in.AttributeDefinitions = append(in.AttributeDefinitions, attribute(sort, types.ScalarAttributeTypeS))
			}
			projection := types.ProjectionTypeAll
			if index == wiring.Keys {
				projection = types.ProjectionTypeKeysOnly
			}
			in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
				IndexName: &index, Projection: &types.Projection{ProjectionType: projection},
				KeySchema: []types.KeySchemaElement{key(partition, types.KeyTypeHash), key(sort, types.KeyTypeRange)},
			})
		}
		if _, err := db.CreateTable(context.Background(), in); err != nil {
			c.t.Fatalf("make table %s: %v", name, err)
		}
		c.t.Cleanup(func() {
			_, _ = db.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name}) // DynamoDB Local forgets it anyway
		})
	}
	text, number := types.ScalarAttributeTypeS, types.ScalarAttributeTypeN
	for _, x := range c.plugins {
		w := c.wiring.Plugins[x.Name]
		table(w.Events, []types.AttributeDefinition{attribute(wiring.Stream, text), attribute(wiring.Seq, number)})
		table(w.Parked, []types.AttributeDefinition{attribute(wiring.Consumer, text), attribute(wiring.Stream, text)})
		table(w.Cursors, []types.AttributeDefinition{attribute(wiring.Key, text)}, wiring.Consumer+"/"+wiring.Order)
		table(w.Snapshots, []types.AttributeDefinition{attribute(wiring.Key, text)})
		table(w.Keys, []types.AttributeDefinition{attribute(wiring.Key, text)})
		for _, m := range x.ReadModels {
			d := m.Definition()
			var indexes []string
			for _, f := range d.Indexes {
				indexes = append(indexes, wiring.Index(f))
			}
			if d.Access.Owner {
				indexes = append(indexes, wiring.Owner)
			}
			for _, f := range d.Sorts {
				indexes = append(indexes, wiring.Sort(f)+":"+wiring.Shard+"/"+wiring.Sort(f))
			}
			keys := []types.AttributeDefinition{attribute(wiring.Key, text)}
			if d.Kind != es.ViewRows {
				keys = append(keys, attribute(wiring.Sub, text))
			}
			if d.Kind == es.ViewKeyed {
				indexes = append(indexes, wiring.Keys+":"+wiring.Shard)
			}
			table(c.wiring.Rows[naming.Full(x.Name, m.Name())], keys, indexes...)
		}
	}
}

func (c *cloud) config() awssdk.Config {
	return awssdk.Config{
		Region: "us-east-1", BaseEndpoint: &c.server.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient: patientClient(), Retryer: retryer, APIOptions: []func(*middleware.Stack) error{c.watch},
		ConfigSources: []any{c.dynamodb},
	}
}

// patientClient gives no request up where the machine is busy: it would come a second time, and
// the first would be answered, too.
func patientClient() awssdk.HTTPClient {
	const long = 2 * time.Minute
	return httpClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = long }).
		WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = long })
}

// dynamoDBLocal is where it listens; the SDK asks a configuration's sources for
// the address of a service that has one of its own.
type dynamoDBLocal string

// GetServiceBaseEndpoint is what the SDK looks for.
func (d dynamoDBLocal) GetServiceBaseEndpoint(_ context.Context, service string) (string, bool, error) {
	return string(d), service == "DynamoDB" && d != "", nil
}

// put writes an item, as an operator could.
func (c *cloud) put(ctx context.Context, table string, i item) error {
	_, err := dynamodb.NewFromConfig(c.config()).PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: i})
	return err
}

// platform is one for a function that works for those plugins.
func (c *cloud) platform(plugins ...es.Plugin) *Platform {
	c.t.Helper()
	p, err := New(Options{Config: c.config(), Wiring: c.wiring, Plugins: plugins, Logger: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// watch stands in for the tables' streams: what is appended to a log waits for
// the plugin's two readers. It also counts requests.
func (c *cloud) watch(s *middleware.Stack) error {
	return s.Initialize.Add(middleware.InitializeMiddlewareFunc("watch", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		c.mu.Lock()
		used := c.usage
		c.mu.Unlock()
		used.ask(in.Parameters)
		out, metadata, err := next.HandleInitialize(ctx, in)
		used.add(in.Parameters, out.Result)
		if put, ok := in.Parameters.(*dynamodb.PutItemInput); ok && err == nil {
			c.stream(put)
		}
		return out, metadata, err
	}), middleware.After)
}

func (c *cloud) stream(put *dynamodb.PutItemInput) {
	for plugin, w := range c.wiring.Plugins {
		if *put.TableName != w.Events {
			continue
		}
		image := map[string]events.DynamoDBAttributeValue{}
		for name, v := range put.Item {
			switch v := v.(type) {
			case *types.AttributeValueMemberS:
				image[name] = events.NewStringAttribute(v.Value)
			case *types.AttributeValueMemberN:
				image[name] = events.NewNumberAttribute(v.Value)
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		r := events.DynamoDBEventRecord{EventName: "INSERT", Change: events.DynamoDBStreamRecord{
			NewImage: image, SequenceNumber: fmt.Sprintf("%021d", len(c.waiting)+1),
		}}
		c.waiting = append(c.waiting, delivery{function: plugin + "-projector", record: r}, delivery{function: plugin + "-eventmapping", record: r})
	}
}

// ServeHTTP plays AWS's services.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case target == "AmazonSQS.SendMessageBatch":
		reply(w, r, c.sendBatch)
	case target == "AWSEvents.PutEvents":
		reply(w, r, c.putEvents)
	case strings.HasSuffix(r.URL.Path, "/invocations"):
		c.invoke(w, r)
	case r.URL.Path == "/v2/email/outbound-emails":
		c.mu.Lock()
		refused := c.refuses()
		c.mu.Unlock()
		if !refused {
			reply(w, r, c.sendEmail)
			return
		}
		w.Header().Set("X-Amzn-Errortype", "MessageRejected")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"message":"Email address is not verified: ann@example.com"}`)
	default:
		c.object(w, r)
	}
}

func reply[In any](w http.ResponseWriter, r *http.Request, serve func(In) any) {
	var in In
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(serve(in)) // the client sees what is missing
}

// refuses says whether a message is to be refused, as SQS and EventBridge do now
// and then with a part of a batch. Whoever asks holds the lock.
func (c *cloud) refuses() bool {
	c.refusals--
	return c.refusals >= 0
}

type sqsBatch struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []struct {
		ID           string `json:"Id"`
		MessageBody  string
		DelaySeconds int32

		MessageGroupID         string `json:"MessageGroupId"`
		MessageDeduplicationID string `json:"MessageDeduplicationId"`
	}
}

// ofGroup is what SQS demands of the id of a message group.
var ofGroup = regexp.MustCompile(`^[[:graph:]]{1,128}$`)

func (c *cloud) sendBatch(in sqsBatch) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string][]any{"Successful": {}, "Failed": {}}
	inbox, fifo := strings.CutSuffix(path.Base(in.QueueURL), ".fifo")
	for i, e := range in.Entries {
		if fifo != ofGroup.MatchString(e.MessageGroupID) || fifo != (e.MessageDeduplicationID != "") || fifo && e.DelaySeconds != 0 {
			out["Failed"] = append(out["Failed"], map[string]any{"Id": e.ID, "Code": "InvalidParameterValue", "SenderFault": true})
			continue
		}
		if c.refuses() {
			out["Failed"] = append(out["Failed"], map[string]any{"Id": e.ID, "Code": "InternalError", "SenderFault": false})
			continue
		}
		sum := md5.Sum([]byte(e.MessageBody))
		out["Successful"] = append(out["Successful"], map[string]any{"Id": e.ID, "MessageId": "m" + e.ID, "MD5OfMessageBody": hex.EncodeToString(sum[:])})
		c.queue(inbox, e.DelaySeconds, i, events.SQSMessage{Body: e.MessageBody, EventSourceARN: path.Base(in.QueueURL), Attributes: map[string]string{
			"MessageGroupId": e.MessageGroupID, "MessageDeduplicationId": e.MessageDeduplicationID,
		}})
	}
	return out
}

func (c *cloud) queue(inbox string, delay int32, n int, m events.SQSMessage) {
	m.MessageId, m.EventSource = fmt.Sprintf("m%d-%d", len(c.waiting), n), "aws:sqs"
	c.waiting = append(c.waiting, delivery{function: inbox, delay: delay, record: m})
}

type busBatch struct {
	Entries []struct {
		Source, DetailType, Detail, EventBusName string
	}
}

func (c *cloud) putEvents(in busBatch) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	var results []any
	failed := 0
	for i, e := range in.Entries {
		if c.refuses() {
			failed++
			results = append(results, map[string]any{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"})
			continue
		}
		results = append(results, map[string]any{"EventId": fmt.Sprint(i)})
		event := busEvent{e.Source, e.DetailType, json.RawMessage(e.Detail)}
		c.published = append(c.published, event)
		body, _ := json.Marshal(event)
		var detail struct{ Bulk bool }
		_ = json.Unmarshal([]byte(e.Detail), &detail) // as rules do, which pass what they can't read to nobody
		for _, inbox := range c.rules[e.DetailType] {
			if detail.Bulk && !strings.HasSuffix(inbox, boundary) {
				inbox += wiring.BulkInbox
			}
			c.queue(inbox, 0, i, events.SQSMessage{Body: string(body), EventSourceARN: inbox})
		}
	}
	return map[string]any{"FailedEntryCount": failed, "Entries": results}
}

func (c *cloud) sendEmail(in map[string]any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.emails = append(c.emails, in)
	return map[string]string{"MessageId": "m"}
}

func (c *cloud) invoke(w http.ResponseWriter, r *http.Request) {
	name := strings.Split(r.URL.Path, "/")[3]
	payload, err := io.ReadAll(r.Body)
	if err != nil || c.handlers[name] == nil {
		http.Error(w, "no function "+name, http.StatusNotFound)
		return
	}
	if r.Header.Get("X-Amz-Invocation-Type") == "Event" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting = append(c.waiting, delivery{function: name, payload: payload})
		w.WriteHeader(http.StatusAccepted)
		return
	}
	out, err := c.handlers[name].Invoke(r.Context(), payload)
	if err != nil {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		out, _ = json.Marshal(map[string]string{"errorMessage": err.Error()})
	}
	_, _ = w.Write(out) // the client sees what is missing
}

// asks has S3 refuse the requests that asked returns an error for; none, where it is nil.
func (c *cloud) asks(asked func(*http.Request) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = asked
}

// object plays S3, path-style.
func (c *cloud) object(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	c.mu.Lock()
	b, ok := c.objects[name]
	asked, version := c.asked, r.URL.Query().Get("versionId")
	c.mu.Unlock()
	if asked != nil {
		if err := asked(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
	}
	switch {
	case r.Method == http.MethodGet && !strings.Contains(name, "/"):
		c.listObjects(w, name, r.URL.Query())
	case r.Method == http.MethodDelete && version == "": // it would leave the others
		w.WriteHeader(http.StatusNotImplemented)
	case r.Method == http.MethodDelete:
		c.mu.Lock()
		defer c.mu.Unlock()
		if version == "null" {
			delete(c.objects, name)
		} else if c.versions[name]--; c.versions[name] <= 0 {
			delete(c.versions, name)
		}
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		c.objects[name] = body
		c.mu.Unlock()
		w.Header().Set("ETag", etagOf(body))
	case c.forbidden[name]:
		w.WriteHeader(http.StatusForbidden)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("ETag", etagOf(b))
		w.Header().Set("Content-Type", cmp.Or(c.types[name], "binary/octet-stream"))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}
}

// pageOfObjects is how many objects a list has.
const pageOfObjects = 2

// listObjects lists a bucket's objects, or the versions of one with those of names that
// begin with its own.
func (c *cloud) listObjects(w http.ResponseWriter, bucket string, q url.Values) {
	c.mu.Lock()
	defer c.mu.Unlock()
	type object struct{ Key, VersionID string }
	var all []object
	for name := range c.objects {
		if key, is := strings.CutPrefix(name, bucket+"/"); is && strings.HasPrefix(key, q.Get("prefix")) {
			all = append(all, object{key, "null"})
		}
	}
	if !q.Has("versions") {
		slices.SortFunc(all, func(a, b object) int { return strings.Compare(a.Key, b.Key) })
		all = slices.DeleteFunc(all, func(o object) bool { return o.Key <= q.Get("continuation-token") })
		fmt.Fprint(w, "<ListBucketResult>")
		for i, o := range all {
			if i == pageOfObjects {
				fmt.Fprintf(w, "<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>", all[i-1].Key)
				break
			}
			fmt.Fprintf(w, "<Contents><Key>%s</Key></Contents>", o.Key)
		}
		fmt.Fprint(w, "</ListBucketResult>")
		return
	}
	for name, n := range c.versions {
		if key, is := strings.CutPrefix(name, bucket+"/"); is && strings.HasPrefix(key, q.Get("prefix")) {
			for i := range n {
				all = append(all, object{key, fmt.Sprint("v", i)})
			}
		}
	}
	fmt.Fprint(w, "<ListVersionsResult>")
	for _, o := range all {
		what := "Version"
		if o.VersionID == "v0" {
			what = "DeleteMarker"
		}
		fmt.Fprintf(w, "<%s><Key>%s</Key><VersionId>%s</VersionId></%s>", what, o.Key, o.VersionID, what)
	}
	fmt.Fprint(w, "</ListVersionsResult>")
}

// PutObject puts an object into a bucket, of which S3 tells its task.
func (c *cloud) PutObject(_ context.Context, bucket, key string, content []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects["shelf-"+bucket+"/"+key] = content
	c.tell(wiring.ObjectCreated, bucket, key, content)
	return nil
}

// RemoveObject takes it out again.
func (c *cloud) RemoveObject(_ context.Context, bucket, key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.objects, "shelf-"+bucket+"/"+key)
	c.tell(wiring.ObjectDeleted, bucket, key, nil)
	return nil
}

// tell has EventBridge tell the bucket's task, twice, as it may.
func (c *cloud) tell(what, bucket, key string, content []byte) {
	c.changes++
	object := map[string]any{"key": key, "sequencer": fmt.Sprintf("%016X", c.changes)}
	if what == wiring.ObjectCreated {
		object["size"], object["etag"] = len(content), strings.Trim(etagOf(content), `"`)
	}
	payload, err := json.Marshal(map[string]any{
		"version": "0", "source": wiring.ObjectSource, "detail-type": what, "time": "2026-01-02T03:04:05Z",
		"detail": map[string]any{"version": "0", "bucket": map[string]any{"name": "shelf-" + bucket}, "object": object},
	})
	if err != nil {
		panic(err) // texts and numbers
	}
	for _, p := range c.plugins {
		for _, t := range p.Tasks {
			if slices.ContainsFunc(t.Buckets, func(b es.Bucket) bool { return b.Name == bucket && b.Watched() }) {
				again := delivery{function: naming.Full(p.Name, t.Name), payload: payload}
				c.waiting = append(c.waiting, again, again)
			}
		}
	}
}

func etagOf(b []byte) string {
	h := md5.Sum(b)
	return `"` + hex.EncodeToString(h[:]) + `"`
}

// deliver hands what waits to its functions, again where they fail, until
// nothing waits. Delays pass at once.
func (c *cloud) deliver(ctx context.Context) error {
	const patience = 20
	for {
		c.mu.Lock()
		if len(c.waiting) == 0 {
			c.mu.Unlock()
			return nil
		}
		d := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.mu.Unlock()
		payload := d.payload
		if payload == nil {
			var err error
			if payload, err = json.Marshal(map[string]any{"Records": []any{d.record}}); err != nil {
				return err
			}
		}
		c.invoked[d.function]++
		out, err := c.handlers[d.function].Invoke(ctx, payload)
		var failures events.SQSEventResponse // of a stream's the shape is the same
		if err == nil {
			err = json.Unmarshal(out, &failures)
		}
		switch {
		case err == nil && len(failures.BatchItemFailures) == 0:
			continue
		case err == nil:
			err = errors.New("it asks for it again")
		}
		if d.tries++; d.tries > patience {
			return fmt.Errorf("%s fails again and again: %w, %s", d.function, err, payload)
		}
		c.mu.Lock()
		c.waiting = append(c.waiting, d)
		c.mu.Unlock()
	}
}

// usage is what requests cost.
type usage struct {
	mu    sync.Mutex
	calls []call
}

// call is one request to DynamoDB.
type call struct {
	operation, table string
	read, write      float64 // capacity units of the table
	indexes          float64 // write units of its indexes
}

// ask lets DynamoDB tell what the request costs.
func (u *usage) ask(in any) {
	if u == nil {
		return
	}
	const indexes = types.ReturnConsumedCapacityIndexes
	switch in := in.(type) {
	case *dynamodb.PutItemInput:
		in.ReturnConsumedCapacity = indexes
	case *dynamodb.UpdateItemInput:
		in.ReturnConsumedCapacity = indexes
	case *dynamodb.DeleteItemInput:
		in.ReturnConsumedCapacity = indexes
	case *dynamodb.GetItemInput:
		in.ReturnConsumedCapacity = indexes
	case *dynamodb.QueryInput:
		in.ReturnConsumedCapacity = indexes
	case *dynamodb.ScanInput:
		in.ReturnConsumedCapacity = indexes
	}
}

func (u *usage) add(in, out any) {
	if u == nil {
		return
	}
	var k call
	var used *types.ConsumedCapacity
	consistent := false
	switch in := in.(type) {
	case *dynamodb.PutItemInput:
		k = call{operation: "PutItem", table: *in.TableName}
		if o, ok := out.(*dynamodb.PutItemOutput); ok {
			used = o.ConsumedCapacity
		}
	case *dynamodb.UpdateItemInput:
		k = call{operation: "UpdateItem", table: *in.TableName}
		if o, ok := out.(*dynamodb.UpdateItemOutput); ok {
			used = o.ConsumedCapacity
		}
	case *dynamodb.DeleteItemInput:
		k = call{operation: "DeleteItem", table: *in.TableName}
		if o, ok := out.(*dynamodb.DeleteItemOutput); ok {
			used = o.ConsumedCapacity
		}
	case *dynamodb.GetItemInput:
		k = call{operation: "GetItem", table: *in.TableName}
		consistent = awssdk.ToBool(in.ConsistentRead)
		if o, ok := out.(*dynamodb.GetItemOutput); ok {
			used = o.ConsumedCapacity
		}
	case *dynamodb.QueryInput:
		k = call{operation: "Query", table: *in.TableName}
		consistent = awssdk.ToBool(in.ConsistentRead)
		if o, ok := out.(*dynamodb.QueryOutput); ok {
			used = o.ConsumedCapacity
		}
	case *dynamodb.ScanInput:
		k = call{operation: "Scan", table: *in.TableName}
		if o, ok := out.(*dynamodb.ScanOutput); ok {
			used = o.ConsumedCapacity
		}
	case *dynamodb.TransactWriteItemsInput:
		u.transaction(in)
		return
	default:
		return
	}
	if used == nil {
		used = &types.ConsumedCapacity{}
	}
	units := awssdk.ToFloat64(used.CapacityUnits)
	for _, i := range used.GlobalSecondaryIndexes {
		k.indexes += *i.CapacityUnits
	}
	units -= k.indexes
	switch k.operation {
	case "GetItem", "Query", "Scan":
		least := 0.5 // what AWS charges for an answer without items; DynamoDB Local, nothing
		if consistent {
			least = 1
		}
		k.read = max(units+k.indexes, least)
		k.indexes = 0
	default:
		k.write = max(units, 1) // a refused write costs what it would have written
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, k)
}

// transaction counts one, as a request of its first table: 2 units for each item of up to
// 1 KB, and for its entry in each index, of which DynamoDB Local tells less.
func (u *usage) transaction(in *dynamodb.TransactWriteItemsInput) {
	k := call{operation: "TransactWriteItems"}
	for _, x := range in.TransactItems {
		k.write += 2
		switch {
		case x.Update != nil:
			k.table = cmp.Or(k.table, *x.Update.TableName)
			set, _, _ := strings.Cut(*x.Update.UpdateExpression, " REMOVE ")
			for _, name := range x.Update.ExpressionAttributeNames {
				if strings.Contains(set, "#"+name+" ") && (strings.HasPrefix(name, wiring.Index("")) || strings.HasPrefix(name, wiring.Sort("")) || name == wiring.Owner) {
					k.indexes += 2
				}
			}
		case x.Put != nil:
			k.table = cmp.Or(k.table, *x.Put.TableName)
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, k)
}

// during counts what f and everything that it sets off costs.
func (c *cloud) during(f func()) []call {
	u := &usage{}
	c.mu.Lock()
	c.usage = u
	c.mu.Unlock()
	f()
	c.mu.Lock()
	c.usage = nil
	c.mu.Unlock()
	return u.calls
}

var _ engine.Log = (*store)(nil)

// aggregateOf is whose inbox it is; "": a plugin's side effects'.
func aggregateOf(inbox string) string {
	if strings.Contains(inbox, ".") {
		return inbox
	}
	return ""
}
