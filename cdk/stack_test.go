package main

import (
	"cmp"
	stdcontext "context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"onlineshop/es"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering/orders"
)

func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

var deployedPlugins = plugins.All(plugins.NoDeps{})

// pluginNames are the names of the shop's plugins, and more.
func pluginNames(more ...string) (out []string) {
	for _, p := range deployedPlugins {
		out = append(out, p.Name)
	}
	return append(out, more...)
}

// taskFunctions are the tasks of the shop that have a function, by its name.
func taskFunctions() map[string]es.Task {
	out := map[string]es.Task{}
	for _, p := range deployedPlugins {
		for _, t := range p.Tasks {
			if t.Works() {
				out[p.Name+t.Name] = t
			}
		}
	}
	return out
}

// The stacks that the tests look at. A stack takes seconds to put together, so
// each is made once.
var (
	// usual is what plain cdk deploy makes, looked through by cdk-nag.
	usual = sync.OnceValue(func() *made {
		return synthesized(nil, deployedPlugins, cdknag.NewAwsSolutionsChecks(nil))
	})
	// unusual has every setting different, and two plugins more.
	unusual = sync.OnceValue(func() *made {
		return synthesized(map[string]string{
			"auth": "jwt", "jwtIssuer": "https://login.example.com", "jwtAudience": "shop", "arch": "x86_64", "removal": "destroy",
			"shipDelay": "10m", "emailFrom": "The Shop <shop@example.com>", "alarmEmail": "ops@example.com", "importTimeout": "20", "version": "v1.2", "laterIndexes": "Catalog.Products.sort_name",
		}, slices.Concat(deployedPlugins, []es.Plugin{shipping(), quiet()}))
	})
	open = sync.OnceValue(func() *made { return synthesized(map[string]string{"auth": "none"}, deployedPlugins) })
)

// made is a synthesized stack.
type made struct {
	template
	warnings []string
	findings []finding // of cdk-nag
}

// template is CloudFormation's, as far as the tests look at it.
type template struct {
	Resources map[string]*resource
	Outputs   map[string]struct{ Value any }
}

type resource struct {
	Type           string
	Properties     map[string]any
	DeletionPolicy string
}

func synthesized(context map[string]string, all []es.Plugin, checks ...awscdk.IAspect) *made {
	s, err := readSettings(func(name string) any {
		if v, ok := context[name]; ok {
			return v
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "cdk-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s.bundles = filepath.Join(dir, "lambdas")
	for _, kind := range append(s.kinds(all), "importproducts") {
		bundle := filepath.Join(s.bundles, kind)
		if err := os.MkdirAll(bundle, 0o700); err != nil {
			panic(err)
		}
		if err := os.WriteFile(filepath.Join(bundle, bootstrap), nil, 0o700); err != nil {
			panic(err)
		}
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(filepath.Join(dir, "out"))})
	stack := newShop(app, s, all)
	for _, c := range checks {
		awscdk.Aspects_Of(stack).Add(c, nil)
	}
	var m made
	b, err := json.Marshal(assertions.Template_FromStack(stack, nil).ToJSON())
	if err == nil {
		err = json.Unmarshal(b, &m.template)
	}
	if err != nil {
		panic(err)
	}
	anything := assertions.Match_AnyValue()
	notes := assertions.Annotations_FromStack(stack)
	for _, n := range append(*notes.FindWarning(jsii.String("*"), anything), *notes.FindError(jsii.String("*"), anything)...) {
		m.note(*n.Id, fmt.Sprint(n.Entry.Data)) //nolint:staticcheck // Go has no other name for the field yet
	}
	return &m
}

func (m *made) note(path, text string) {
	if rule, ok := strings.CutPrefix(text, "AwsSolutions-"); ok {
		rule, _, _ = strings.Cut(rule, ": ")
		m.findings = append(m.findings, finding{path, rule})
		return
	}
	m.warnings = append(m.warnings, text)
}

// of are the resources of that type by their names.
func (t template) of(typ string) map[string]*resource {
	out := map[string]*resource{}
	for id, r := range t.Resources {
		if r.Type == typ {
			out[nameOf(id)] = r
		}
	}
	return out
}

// get is the one resource of that name and type.
func (t template) get(test *testing.T, typ, name string) *resource {
	test.Helper()
	r := t.of(typ)[name]
	if r == nil {
		test.Fatalf("there is no %s %s, only %v", typ, name, slices.Sorted(maps.Keys(t.of(typ))))
	}
	return r
}

var hash = regexp.MustCompile(`[0-9A-F]{8}$`)

// nameOf is a logical id without the hash of its path.
func nameOf(id string) string { return hash.ReplaceAllString(id, "") }

// text is a value as people would write it: CatalogEvents for the table's name
// and its ARN alike.
func text(v any) string {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["Ref"].(string); ok {
			return nameOf(ref)
		}
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			if get[1] == "Arn" {
				return nameOf(get[0].(string))
			}
			return nameOf(get[0].(string)) + "." + get[1].(string)
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			var b strings.Builder
			for _, part := range join[1].([]any) {
				b.WriteString(text(part))
			}
			return b.String()
		}
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, text(x))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v)
}

// at is the value at a path of a resource's properties, "" where there is none.
func (r *resource) at(path ...any) string {
	var v any = r.Properties
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return ""
			}
			v = l[p]
		}
		if v == nil {
			return ""
		}
	}
	return text(v)
}

// variables are a function's environment.
func (r *resource) variables() map[string]any {
	return r.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
}

// shipping is a plugin that nobody knows: what the stack makes of it comes from
// its definitions alone.
func shipping() es.Plugin {
	type command interface{ isCommand() }
	type event interface{ isEvent() }
	aggregate := func(name string, internal bool) es.Aggregate[command, event, struct{}] {
		return es.NewAggregate(es.AggregateRules[command, event, struct{}]{
			Name: name, Internal: internal,
			Commands: []es.CommandType[command]{{Name: "Send", Schema: "{}", Empty: true}},
		})
	}
	parcel, address := aggregate("Shipping.Parcel", false), aggregate("Shipping.KnownAddress", true)
	parcels := es.NewReadModel("Parcels", es.From(parcel, func(es.Recorded[event]) es.Change[row] { return nil })).
		By("orderId").Allow(es.AllowOwner(es.Admin))
	labels := es.NewReadModel("Labels", es.From(parcel, func(es.Recorded[event]) es.Change[row] { return nil }))
	corrections := es.NewRequests(es.PointRules[command]{Name: "Shipping.Addresses"})
	return es.Plugin{
		Name: "Shipping", HeartbeatInterval: 90e9,
		Aggregates: []es.AnyAggregate{parcel, address},
		ReadModels: []es.AnyReadModel{parcels, labels},
		Extensions: []es.Extension{es.NewExtension("OrderedItems", orders.ExtensionPoint, address,
			func(es.Recorded[orders.Event]) es.Commands[command] { return nil }).
			OnRejected(es.React(parcel, func(es.Rejected[orders.Event]) es.Commands[command] { return nil })),
			es.Accept("Corrections", corrections, address, func(es.Recorded[command]) es.Commands[command] { return nil })},
		Publications: []es.Publication{es.Ask(parcel, corrections, func(es.Recorded[event]) []command { return nil })},
		Tasks: []es.Task{
			{Name: "ScanLabels", Bucket: "labels", Sends: []es.AnyAggregate{parcel}},
			{Name: "Track", Sends: []es.AnyAggregate{parcel}, Buckets: []es.Bucket{
				watched(),
				{Name: "lists", Write: true}, {Name: "tariffs", Read: true},
			}},
			{Name: "Collect", Mails: true, Sends: []es.AnyAggregate{parcel}, Reads: []es.Readable{parcels, address}, Schedules: []es.Schedule{{Name: "Daily", Cron: "0 17 * * *"}, {Name: "Hourly", Every: time.Hour}}},
		},
	}
}

// watched is a bucket of which a task hears all.
func watched() es.Bucket {
	return es.Bucket{
		Name:      "customs-papers",
		OnCreated: func(stdcontext.Context, es.Object, es.Shop) error { return nil },
		OnRemoved: func(stdcontext.Context, es.Removed, es.Shop) error { return nil },
	}
}

// quiet is a plugin without commands for anybody. Its side effect reads a view.
func quiet() es.Plugin {
	mouse := es.NewAggregate(es.AggregateRules[any, any, struct{}]{Name: "Quiet.Mouse", Internal: true})
	noises := es.NewReadModel("Noises", es.From(mouse, func(es.Recorded[any]) es.Change[row] { return nil }))
	changes := func(es.Recorded[any]) es.Changes[row] { return nil }
	squeaks := es.NewReadModel("Squeaks", es.ItemsFrom(mouse, changes))
	nights := es.NewReadModel("Nights", es.PartsFrom(mouse, changes)).Sum("mice")
	hush := es.SideEffect{Name: "Hush", Source: mouse.Name()}
	purr := es.SideEffect{Name: "Purr", Point: orders.ExtensionPoint.Definition()}
	return es.Plugin{
		Name: "Quiet", Aggregates: []es.AnyAggregate{mouse}, ReadModels: []es.AnyReadModel{noises, squeaks, nights},
		Tasks: []es.Task{{Name: "Cat", SideEffects: []es.SideEffect{hush.Reads(noises, squeaks, nights), purr}}},
	}
}

type row struct{}

func (row) JSONSchema() string { return "{}" }

func TestAPluginAppearsInTheStackByItself(t *testing.T) {
	m := unusual()
	for typ, names := range map[string][]string{
		"AWS::DynamoDB::Table":  {"ShippingEvents", "ShippingCursors", "ShippingParked", "ShippingSnapshots", "ShippingParcelsRows"},
		"AWS::Lambda::Function": {"ShippingParcelCommand", "ShippingKnownAddressCommand", "ShippingProjector", "ShippingEventMapping", "ShippingScanLabels"},
		"AWS::S3::Bucket":       {"ShippingScanLabelsBucket"},
		"AWS::SQS::Queue":       {"ShippingKnownAddressInbox", "ShippingKnownAddressDeadLetters"},
		"AWS::Events::Rule":     {"ShippingOrderedItemsRule", "ShippingTick", "ShippingCollectSchedules"},
	} {
		for _, name := range names {
			m.get(t, typ, name)
		}
	}
	parcels := m.get(t, "AWS::DynamoDB::Table", "ShippingParcelsRows")
	for i, want := range []string{"by_orderId", "owner"} {
		if got := parcels.at("GlobalSecondaryIndexes", i, "IndexName"); got != want {
			t.Errorf("index %d of the parcels is %q, want %q", i, got, want)
		}
	}
	// An index that is left to the next update is not there, and the others are
	products := func(m *made) string {
		return m.get(t, "AWS::DynamoDB::Table", "CatalogProductsRows").at("GlobalSecondaryIndexes")
	}
	if all, some := products(usual()), products(m); !strings.Contains(all, "sort_name") || strings.Contains(some, "sort_name") || !strings.Contains(some, "sort_price") {
		t.Errorf("indexes of the products are %s, and without one %s", all, some)
	}
	rule := m.get(t, "AWS::Events::Rule", "ShippingOrderedItemsRule")
	if got := rule.at("EventPattern", "source") + "/" + rule.at("EventPattern", "detail-type") + " to " + rule.at("Targets", 0, "Arn"); got != "Ordering/Ordering.Orders to ShippingKnownAddressInbox" {
		t.Errorf("the extension hears %s", got)
	}
	// What plugins ask of it, here it itself, comes in their own names
	rule = m.get(t, "AWS::Events::Rule", "ShippingCorrectionsFromShippingRule")
	if got := rule.at("EventPattern", "source") + "/" + rule.at("EventPattern", "detail-type") + " to " + rule.at("Targets", 0, "Arn"); got != "Shipping/Shipping.Shipping.Addresses to ShippingKnownAddressInbox" {
		t.Errorf("requests come from %s", got)
	}
	asks := slices.ContainsFunc(m.permissions()["ShippingKnownAddressCommand"], func(p permission) bool {
		return p.action == "lambda:InvokeFunction" && strings.Contains(p.resource, "Shipping")
	})
	if !asks {
		t.Errorf("what decides on them can't ask for those that it missed: %v", m.permissions()["ShippingKnownAddressCommand"])
	}
	// Live and bulk events go to inboxes of their own
	for name, want := range map[string]string{
		"ShippingOrderedItemsRule": "map[exists:false] ShippingKnownAddressInbox", "ShippingOrderedItemsBulkRule": "true ShippingKnownAddressBulkInbox",
	} {
		rule := m.get(t, "AWS::Events::Rule", name)
		if got := rule.at("EventPattern", "detail", "bulk") + " " + rule.at("Targets", 0, "Arn"); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got := m.routes()["/shipping/parcel/{proxy+} POST"]; got != "ShippingParcelCommand" {
		t.Errorf("the parcel's commands go to %q", got)
	}
	for _, unwanted := range []string{"ShippingNotifications", "ShippingInbox", "ShippingParcelInbox"} {
		for id := range m.Resources {
			if nameOf(id) == unwanted {
				t.Errorf("there is a %s, which nothing needs", unwanted)
			}
		}
	}
}

func TestProductImportHasNoCommandFunctionSinceOnlyTheImportDrivesIt(t *testing.T) {
	if f := usual().of("AWS::Lambda::Function")["CatalogProductImportCommand"]; f != nil {
		t.Error("ProductImport has a command function")
	}
}

func TestTablesCanBeRestoredAndAreNotLostByMistake(t *testing.T) {
	for name, table := range usual().of("AWS::DynamoDB::Table") {
		if table.at("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") != "true" {
			t.Errorf("%s has no point-in-time recovery", name)
		}
		if table.at("BillingMode") != "PAY_PER_REQUEST" {
			t.Errorf("%s is not paid for by use", name)
		}
		if table.at("DeletionProtectionEnabled") != "true" {
			t.Errorf("%s is not protected from deletion", name)
		}
	}
	for name, r := range holders(usual()) {
		if r.DeletionPolicy != "Retain" {
			t.Errorf("%s goes with the stack: DeletionPolicy is %s", name, r.DeletionPolicy)
		}
	}
	for name, r := range holders(unusual()) {
		if r.DeletionPolicy != "Delete" || r.at("DeletionProtectionEnabled") == "true" {
			t.Errorf("removal=destroy: %s stays: DeletionPolicy is %s", name, r.DeletionPolicy)
		}
	}
}

// holders are the resources that hold data.
func holders(m *made) map[string]*resource {
	out := map[string]*resource{}
	for _, typ := range []string{"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Cognito::UserPool"} {
		maps.Copy(out, m.of(typ))
	}
	return out
}

// Under another logical id, CloudFormation makes another, empty table.
func TestTheNamesOfWhatHoldsDataAreAStorageContract(t *testing.T) {
	var ids []string
	for id, r := range usual().Resources {
		if holders(usual())[nameOf(id)] == r {
			ids = append(ids, id+" "+r.Type)
		}
	}
	slices.Sort(ids)
	golden(t, "storage", ids)
}

func TestBucketsArePrivateAndEncrypted(t *testing.T) {
	for name, b := range usual().of("AWS::S3::Bucket") {
		for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
			if b.at("PublicAccessBlockConfiguration", block) != "true" {
				t.Errorf("%s may be public: %s is off", name, block)
			}
		}
		if b.at("BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault", "SSEAlgorithm") == "" {
			t.Errorf("%s is not encrypted", name)
		}
		rules, _ := b.Properties["CorsConfiguration"].(map[string]any)["CorsRules"].([]any)
		method := map[string]string{"Reports": "GET"}[name]
		if got := b.at("CorsConfiguration", "CorsRules", 0, "AllowedMethods"); got != cmp.Or(method, "PUT") || len(rules) != 1 {
			t.Errorf("pages may %s in %s, by %d rules", got, name, len(rules))
		}
		if got := b.at("CorsConfiguration", "CorsRules", 0, "AllowedOrigins"); got != "https://Api.execute-api.AWS::Region.AWS::URLSuffix" {
			t.Errorf("the pages of %s may use %s", got, name)
		}
	}
}

// An e-mail whose name is gone would not be found for who is erased.
func TestNamesOfKeptEmailsOutlastThem(t *testing.T) {
	// Given the rules of the bucket that has both
	days := map[string]int{}
	rules, _ := usual().get(t, "AWS::S3::Bucket", "Reports").Properties["LifecycleConfiguration"].(map[string]any)["Rules"].([]any)
	for _, r := range rules {
		r := r.(map[string]any)
		if n, is := r["ExpirationInDays"].(float64); is {
			days[text(r["Prefix"])] = int(n)
		}
	}
	// Then e-mails go, and their names days later, since S3 takes its time
	if e, n := days["emails/"], days["about/"]; e == 0 || n < e+7 {
		t.Errorf("objects go after so many days: %v", days)
	}
}

func TestQueuesAreEncryptedAndHaveDeadLetterQueues(t *testing.T) {
	m := unusual()
	functions, queues := m.of("AWS::Lambda::Function"), m.of("AWS::SQS::Queue")
	for name, q := range queues {
		if q.at("SqsManagedSseEnabled") != "true" {
			t.Errorf("%s is not encrypted", name)
		}
		const days14 = "1.2096e+06" // seconds, as JSON's numbers print
		if q.at("MessageRetentionPeriod") != days14 {
			t.Errorf("%s keeps messages for %s s, want 14 days", name, q.at("MessageRetentionPeriod"))
		}
		dead := strings.HasSuffix(name, "DeadLetters")
		if (q.at("RedrivePolicy", "deadLetterTargetArn") == "") != dead {
			t.Errorf("%s: its dead letters go to %q", name, q.at("RedrivePolicy", "deadLetterTargetArn"))
		}
		if m.of("AWS::CloudWatch::Alarm")[name+"Alarm"] == nil && dead {
			t.Errorf("%s has no alarm", name)
		}
	}
	readers := 0
	for _, mapping := range m.of("AWS::Lambda::EventSourceMapping") {
		q, f := queues[mapping.at("EventSourceArn")], functions[mapping.at("FunctionName")]
		if q == nil {
			continue
		}
		readers++
		hidden, timeout := q.Properties["VisibilityTimeout"].(float64), f.Properties["Timeout"].(float64)
		if hidden < 6*timeout {
			t.Errorf("%s hides messages for %v s; its function takes up to %v s", mapping.at("EventSourceArn"), hidden, timeout)
		}
		if mapping.at("FunctionResponseTypes") != "ReportBatchItemFailures" {
			t.Errorf("%s: one failure fails the batch", mapping.at("EventSourceArn"))
		}
	}
	if readers == 0 {
		t.Error("nobody reads a queue")
	}
}

// Copies of a hint that are worked on at once would send an e-mail twice. All
// other inboxes need delays, or are filled by rules, which know no streams.
func TestSideEffectsOnOneStreamAreRunOneAfterTheOther(t *testing.T) {
	m := usual()
	queues := m.of("AWS::SQS::Queue")
	ordered := 0
	for _, mapping := range m.of("AWS::Lambda::EventSourceMapping") {
		name := mapping.at("EventSourceArn")
		inbox := queues[name]
		if inbox == nil {
			continue
		}
		want := "  "
		if strings.HasSuffix(mapping.at("FunctionName"), "Notifications") {
			want = "true messageGroup perMessageGroupId"
			ordered++
		}
		for _, q := range []string{name, inbox.at("RedrivePolicy", "deadLetterTargetArn")} {
			if got := queues[q].at("FifoQueue") + " " + queues[q].at("DeduplicationScope") + " " + queues[q].at("FifoThroughputLimit"); got != want {
				t.Errorf("%s is FIFO: %q, want %q", q, got, want)
			}
		}
	}
	if ordered != 1 {
		t.Errorf("%d functions run side effects, want Ordering's", ordered)
	}
}

func TestEachEventStreamHasTwoReadersThatLoseNothing(t *testing.T) {
	m := usual()
	readers := map[string][]string{}
	for _, r := range m.of("AWS::Lambda::EventSourceMapping") {
		table, ok := strings.CutSuffix(r.at("EventSourceArn"), ".StreamArn")
		if !ok {
			continue
		}
		readers[table] = append(readers[table], r.at("FunctionName"))
		for property, want := range map[string]string{
			"StartingPosition": "TRIM_HORIZON", "BisectBatchOnFunctionError": "true", "FunctionResponseTypes": "ReportBatchItemFailures",
			"MaximumRetryAttempts": "-1", "MaximumRecordAgeInSeconds": "",
		} {
			if got := r.at(property); got != want {
				t.Errorf("%s reads %s with %s %q, want %q", r.at("FunctionName"), table, property, got, want)
			}
		}
		if got := r.at("FilterCriteria", "Filters", 0, "Pattern"); got != `{"eventName":["INSERT"]}` {
			t.Errorf("%s is called for %s", r.at("FunctionName"), got)
		}
	}
	for table, functions := range readers {
		plugin := strings.TrimSuffix(table, "Events")
		slices.Sort(functions)
		if want := []string{plugin + "EventMapping", plugin + "Projector"}; !slices.Equal(functions, want) {
			t.Errorf("%s is read by %v, want %v", table, functions, want)
		}
		if got := m.get(t, "AWS::DynamoDB::Table", table).at("StreamSpecification", "StreamViewType"); got != "NEW_IMAGE" {
			t.Errorf("the stream of %s shows %s", table, got)
		}
	}
	if len(readers) != len(deployedPlugins) {
		t.Errorf("streams are read of %v", slices.Sorted(maps.Keys(readers)))
	}
}

func TestFunctionsAreWhatTheyAreToBe(t *testing.T) {
	for name, f := range usual().of("AWS::Lambda::Function") {
		for property, want := range map[string]string{"Runtime": "provided.al2023", "Architectures": "arm64"} {
			if got := f.at(property); got != want {
				t.Errorf("%s has %s %s, want %s", name, property, got, want)
			}
		}
		if f.at("TracingConfig", "Mode") != "Active" {
			t.Errorf("%s is not traced", name)
		}
		if group := f.at("LoggingConfig", "LogGroup"); usual().get(t, "AWS::Logs::LogGroup", group).at("RetentionInDays") == "" {
			t.Errorf("%s keeps its log for ever", name)
		}
		for what, m := range map[string]*made{"usual": usual(), "unusual": unusual()} {
			if size := m.size(name); size > wiring.MaxVariables {
				t.Errorf("%s has %d bytes of variables in the %s stack, Lambda allows %d", name, size, what, wiring.MaxVariables)
			}
		}
	}
	for name, f := range unusual().of("AWS::Lambda::Function") {
		if got := f.at("Architectures"); got != "x86_64" {
			t.Errorf("%s is for %s, want x86_64", name, got)
		}
		if got := f.at("Environment", "Variables", "SHOP_SHIP_DELAY"); got != "10m0s" {
			t.Errorf("%s is told a ship delay of %q", name, got)
		}
	}
}

// size is about how many bytes a function's variables have, once each name in
// them is as long as a physical one.
func (m *made) size(function string) (n int) {
	var count func(v any) int
	count = func(v any) (n int) {
		switch v := v.(type) {
		case string:
			return len(v)
		case []any:
			for _, x := range v {
				n += count(x)
			}
		case map[string]any:
			if join, ok := v["Fn::Join"].([]any); ok {
				return count(join[1])
			}
			n = len("Shop-123456789012") + len(text(v)) + len("A1B2C3D4-ABCDEFGHIJKLM")
			if _, url := v["Ref"]; url && strings.HasSuffix(text(v), "Inbox") {
				n += len("https://sqs.ap-southeast-1.amazonaws.com/123456789012/")
			}
		}
		return n
	}
	for name, v := range m.of("AWS::Lambda::Function")[function].variables() {
		n += len(name) + count(v)
	}
	return n
}

func TestTheImportGoesOnByItselfAndLosesNoObject(t *testing.T) {
	m := unusual()
	f := m.get(t, "AWS::Lambda::Function", "CatalogImportProducts")
	if f.at("RecursiveLoop") != "Allow" || f.at("ReservedConcurrentExecutions") != "" || f.at("Timeout") != "20" {
		t.Errorf("the import has RecursiveLoop %q, reserved concurrency %q, a timeout of %q s", f.at("RecursiveLoop"), f.at("ReservedConcurrentExecutions"), f.at("Timeout"))
	}
	if got := usual().get(t, "AWS::Lambda::Function", "CatalogImportProducts").at("Timeout"); got != "900" {
		t.Errorf("the import's timeout is %s s where nothing is said", got)
	}
	bucket := m.get(t, "AWS::S3::Bucket", "CatalogImportProductsBucket")
	if got := bucket.at("NotificationConfiguration", "LambdaConfigurations", 0, "Function"); got != "CatalogImportProducts" {
		t.Errorf("the bucket calls %q", got)
	}
	retries := m.get(t, "AWS::Lambda::EventInvokeConfig", "CatalogImportProductsRetries")
	if got := retries.at("DestinationConfig", "OnFailure", "Destination"); got != "CatalogImportProductsDeadLetters" {
		t.Errorf("what fails goes to %q", got)
	}
}

func TestATaskWithSchedulesIsCalledEveryMinute(t *testing.T) {
	m := unusual()
	f := m.get(t, "AWS::Lambda::Function", "ShippingCollect")
	if f.at("RecursiveLoop") != "" || f.variables()[wiring.Task] != "Shipping.Collect" {
		t.Errorf("its function has RecursiveLoop %q and the variables %v", f.at("RecursiveLoop"), f.variables())
	}
	rule := m.get(t, "AWS::Events::Rule", "ShippingCollectSchedules")
	if rule.at("ScheduleExpression") != "rate(1 minute)" || rule.at("Targets", 0, "Arn") != "ShippingCollect" || rule.at("Targets", 0, "Input") != `{"do":"tick"}` {
		t.Errorf("the rule calls %s with %s at %s", rule.at("Targets", 0, "Arn"), rule.at("Targets", 0, "Input"), rule.at("ScheduleExpression"))
	}
	for resource, b := range m.of("AWS::S3::Bucket") {
		if strings.Contains(resource, "Collect") {
			t.Errorf("it has a bucket: %v", b)
		}
	}
	got := fmt.Sprint(m.permissions()["ShippingCollect"])
	if !strings.Contains(got, "schedule/*") {
		t.Errorf("it may not keep what it did: %s", got)
	}
}

// A task has the rights on its buckets that it declares, and hears of what it watches.
func TestATaskHasItsBuckets(t *testing.T) {
	m := unusual()
	rule := m.get(t, "AWS::Events::Rule", "ShippingShelfCustomsPapersRule")
	got := []string{
		rule.at("EventPattern", "source"), rule.at("EventPattern", "detail-type", 0), rule.at("EventPattern", "detail-type", 1),
		rule.at("EventPattern", "detail", "bucket", "name", 0), rule.at("Targets", 0, "Arn"),
		m.get(t, "AWS::S3::Bucket", "ShippingShelfCustomsPapers").at("NotificationConfiguration", "EventBridgeConfiguration", "EventBridgeEnabled"),
		m.get(t, "AWS::S3::Bucket", "ShippingShelfLists").at("NotificationConfiguration"),
		m.get(t, "AWS::Lambda::Function", "ShippingTrack").at("RecursiveLoop"),
	}
	if want := []string{wiring.ObjectSource, wiring.ObjectCreated, wiring.ObjectDeleted, "ShippingShelfCustomsPapers", "ShippingTrack", "true", "", "Allow"}; !slices.Equal(got, want) {
		t.Errorf("the buckets are\n%q, want\n%q", got, want)
	}
	var rights []string
	for _, p := range m.permissions()["ShippingTrack"] {
		if strings.HasPrefix(p.action, "s3:") && strings.Contains(p.resource, "Shelf") {
			rights = append(rights, p.action+" "+p.resource)
		}
	}
	slices.Sort(rights)
	want := []string{
		"s3:GetObject ShippingShelfCustomsPapers/*", "s3:GetObject ShippingShelfTariffs/*",
		"s3:ListBucket ShippingShelfCustomsPapers", "s3:ListBucket ShippingShelfTariffs", "s3:PutObject ShippingShelfLists/*",
	}
	if !slices.Equal(rights, want) {
		t.Errorf("its rights are\n%q, want\n%q", rights, want)
	}
}

func TestATickIsNotDoneLater(t *testing.T) {
	m := usual()
	for _, plugin := range pluginNames() {
		target := m.get(t, "AWS::Events::Rule", plugin+"Tick").at("Targets", 0, "RetryPolicy", "MaximumRetryAttempts")
		queued := m.get(t, "AWS::Lambda::EventInvokeConfig", plugin+"EventMappingEventInvokeConfig")
		if got := target + " and " + queued.at("MaximumRetryAttempts") + " times, for " + queued.at("MaximumEventAgeInSeconds") + " s"; got != "0 and 0 times, for 60 s" {
			t.Errorf("%s's ticks are tried again %s", plugin, got)
		}
	}
}

// Heartbeats and /health tell it.
func TestFunctionsThatTellTheVersionKnowIt(t *testing.T) {
	functions := []string{"Query"}
	for _, plugin := range pluginNames() {
		functions = append(functions, plugin+"EventMapping")
	}
	for _, name := range functions {
		if got := unusual().get(t, "AWS::Lambda::Function", name).at("Environment", "Variables", "SHOP_VERSION"); got != "v1.2" {
			t.Errorf("%s is told version %q", name, got)
		}
	}
}

// routes are the functions that the API calls, by path and method.
func (m *made) routes() map[string]string {
	resources := m.of("AWS::ApiGateway::Resource")
	var path func(id string) string
	path = func(id string) string {
		r := resources[id]
		if r == nil {
			return "" // the root
		}
		return path(r.at("ParentId")) + "/" + r.at("PathPart")
	}
	out := map[string]string{}
	function := regexp.MustCompile(`functions/(\w+)/invocations$`)
	for _, method := range m.of("AWS::ApiGateway::Method") {
		called := function.FindStringSubmatch(method.at("Integration", "Uri"))
		if called == nil {
			called = []string{"", method.at("Integration", "Uri")}
		}
		out[path(method.at("ResourceId"))+" "+method.at("HttpMethod")] = called[1]
	}
	return out
}

func TestEachPathGoesToTheFunctionThatAnswersIt(t *testing.T) {
	want := map[string]string{" ANY": "Query", "/{proxy+} ANY": "Query"}
	for _, p := range deployedPlugins {
		paths := []string{"/" + naming.PathSegment(p.Name)}
		for _, a := range p.Aggregates {
			if d := a.Definition(); !d.Internal {
				_, name, _ := strings.Cut(d.Name, ".")
				path := paths[0] + "/" + naming.PathSegment(name)
				paths = append(paths, path)
				want[path+"/{proxy+} POST"] = p.Name + name + "Command"
			}
		}
		for _, path := range paths {
			want[path+" ANY"], want[path+"/{proxy+} ANY"] = "Query", "Query"
		}
	}
	got := usual().routes()
	for route, function := range want {
		if got[route] != function {
			t.Errorf("%s goes to %q, want %s", route, got[route], function)
		}
	}
	for route := range got {
		if want[route] == "" {
			t.Errorf("there is a route%s, which is unexpected", route)
		}
	}
}

func TestTheAPIIsThrottledLoggedAndAnswersInProblems(t *testing.T) {
	m := usual()
	stage := m.get(t, "AWS::ApiGateway::Stage", "ApiDeploymentStageprod")
	for _, limit := range []string{"ThrottlingRateLimit", "ThrottlingBurstLimit"} {
		if stage.at("MethodSettings", 0, limit) == "" {
			t.Errorf("the API has no %s", limit)
		}
	}
	if m.get(t, "AWS::Logs::LogGroup", stage.at("AccessLogSetting", "DestinationArn")).at("RetentionInDays") == "" {
		t.Error("the access log is kept for ever")
	}
	executions := m.get(t, "AWS::Logs::LogGroup", "ExecutionLog")
	if name := executions.at("LogGroupName"); name != "API-Gateway-Execution-Logs_Api/prod" || executions.at("RetentionInDays") == "" {
		t.Errorf("API Gateway writes its own log to %q, which is kept for %q days", name, executions.at("RetentionInDays"))
	}
	if types := m.get(t, "AWS::ApiGateway::RestApi", "Api").at("BinaryMediaTypes"); types != "*/*" {
		t.Errorf("the API takes %q for binary, want everything, so that bodies come as they are", types)
	}
	codes := map[string]string{}
	for _, r := range m.of("AWS::ApiGateway::GatewayResponse") {
		typ, status := r.at("ResponseType"), r.at("StatusCode")
		var problem struct {
			Status                             int
			Title, Detail, Code, CorrelationID string
		}
		if err := json.Unmarshal([]byte(r.at("ResponseTemplates", "application/json")), &problem); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		if fmt.Sprint(problem.Status) != status || problem.Title == "" || problem.Detail == "" || problem.CorrelationID != "$context.requestId" {
			t.Errorf("%s is a %s with the problem %+v", typ, status, problem)
		}
		if got := r.at("ResponseParameters", "gatewayresponse.header.Content-Type"); got != "'application/problem+json'" {
			t.Errorf("%s is sent as %s", typ, got)
		}
		codes[typ] = status + " " + problem.Code
	}
	for typ, want := range map[string]string{
		"THROTTLED": "429 TooManyRequests", "REQUEST_TOO_LARGE": "413 PayloadTooLarge", "MISSING_AUTHENTICATION_TOKEN": "404 NotFound",
		"UNSUPPORTED_MEDIA_TYPE": "415 UnsupportedMediaType", "INTEGRATION_TIMEOUT": "503 Unavailable", "DEFAULT_4XX": "400 MalformedRequest", "DEFAULT_5XX": "503 Unavailable",
	} {
		if codes[typ] != want {
			t.Errorf("%s is a %s, want %s", typ, codes[typ], want)
		}
	}
}

func TestWhoIsCallingIsSettledByTheSettings(t *testing.T) {
	called := []string{"Query"}
	for route, function := range usual().routes() {
		if strings.HasSuffix(route, " POST") {
			called = append(called, function)
		}
	}
	for what, c := range map[string]struct {
		made                   *made
		auth, issuer, audience string
		pools                  int
	}{
		"nothing said": {usual(), "jwt", "Users.ProviderURL", "UsersClient", 1},
		"auth=jwt":     {unusual(), "jwt", "https://login.example.com", "shop", 0},
		"auth=none":    {open(), "none", "", "", 0},
	} {
		for _, name := range called {
			f := c.made.get(t, "AWS::Lambda::Function", name)
			for variable, want := range map[string]string{"SHOP_AUTH": c.auth, "SHOP_JWT_ISSUER": c.issuer, "SHOP_JWT_AUDIENCE": c.audience} {
				if got := f.at("Environment", "Variables", variable); got != want {
					t.Errorf("%s: %s has %s=%s, want %s", what, name, variable, got, want)
				}
			}
		}
		if pools := len(c.made.of("AWS::Cognito::UserPool")); pools != c.pools {
			t.Errorf("%s: there are %d user pools, want %d", what, pools, c.pools)
		}
		warns := slices.ContainsFunc(c.made.warnings, func(w string) bool { return strings.Contains(w, "auth=none") })
		if warns != (c.auth == "none") {
			t.Errorf("%s: warnings are %q", what, c.made.warnings)
		}
	}
	if got := usual().get(t, "AWS::Cognito::UserPoolGroup", "Admins").at("GroupName"); got != "Admin" {
		t.Errorf("the group of those who may do everything is %q", got)
	}
}

// People sign in to the page with the pool's own, from the page's address and back to it.
func TestPeopleSignInToThePage(t *testing.T) {
	const page = "https://Api.execute-api.AWS::Region.AWS::URLSuffix/prod/console/"
	m := usual()
	client := m.get(t, "AWS::Cognito::UserPoolClient", "UsersClient")
	for property, want := range map[string]string{
		"AllowedOAuthFlows": "code", "AllowedOAuthScopes": "openid email profile", "CallbackURLs": page, "LogoutURLs": page,
		"GenerateSecret": "false", "SupportedIdentityProviders": "COGNITO",
	} {
		if got := client.at(property); got != want {
			t.Errorf("the client's %s is %s, want %s", property, got, want)
		}
	}
	if got := text(m.Outputs["ConsoleUrl"].Value); got != page {
		t.Errorf("the page is said to be at %s", got)
	}
	if got := m.get(t, "AWS::Cognito::UserPoolDomain", "UsersLogin").at("Domain"); got != "shop-AWS::AccountId" {
		t.Errorf("the login domain is %s", got)
	}
	const login = "https://UsersLogin.auth.AWS::Region.amazoncognito.com"
	if got := m.get(t, "AWS::Lambda::Function", "Query").at("Environment", "Variables", "SHOP_LOGIN_URL"); got != login {
		t.Errorf("the page is told that people sign in at %s", got)
	}
	for _, m := range []*made{unusual(), open()} {
		if all := m.of("AWS::Cognito::UserPoolDomain"); len(all) > 0 {
			t.Errorf("there are login domains: %v", all)
		}
		if got := m.get(t, "AWS::Lambda::Function", "Query").at("Environment", "Variables", "SHOP_LOGIN_URL"); got != "" {
			t.Errorf("the page is told that people sign in at %s", got)
		}
	}
}

func TestNothingElseIsWarnedOf(t *testing.T) {
	for _, m := range []*made{usual(), unusual()} {
		if len(m.warnings) > 0 {
			t.Errorf("warnings: %q", m.warnings)
		}
	}
}

func TestAlarmsTellOfWhateverNeedsAHand(t *testing.T) {
	m := unusual()
	alarms := m.of("AWS::CloudWatch::Alarm")
	var want []string
	for name := range m.of("AWS::Lambda::Function") {
		want = append(want, name+"Errors", name+"Throttles")
		if strings.HasSuffix(name, "Projector") || strings.HasSuffix(name, "EventMapping") {
			want = append(want, name+"Age")
		}
	}
	for _, plugin := range pluginNames("Shipping") {
		want = append(want, plugin+"ParkedKeys", plugin+"Heartbeat", plugin+"ClockBehind", plugin+"StreamDamaged")
	}
	for _, name := range append(want, "ApiErrors") {
		if alarms[name+"Alarm"] == nil {
			t.Errorf("there is no alarm %s", name)
		}
	}
	for name, a := range alarms {
		if a.at("AlarmActions") != "Alarms" || a.at("AlarmDescription") == "" {
			t.Errorf("%s tells %q: %q", name, a.at("AlarmActions"), a.at("AlarmDescription"))
		}
	}
	if alarms["QuietHeartbeatAlarm"] != nil {
		t.Error("there is an alarm on the heartbeats of a plugin that has none")
	}
	beat := m.get(t, "AWS::CloudWatch::Alarm", "ShippingHeartbeatAlarm")
	if got := beat.at("Period") + " s, " + beat.at("EvaluationPeriods") + " times, without data " + beat.at("TreatMissingData"); got != "120 s, 3 times, without data breaching" {
		t.Errorf("heartbeats of every 90 s are missed after %s", got) // periods are whole minutes
	}
	if m.get(t, "AWS::SNS::Topic", "Alarms").at("KmsMasterKeyId") == "" {
		t.Error("the topic is not encrypted")
	}
	if subscriptions := m.of("AWS::SNS::Subscription"); len(subscriptions) != 1 || len(usual().of("AWS::SNS::Subscription")) != 0 {
		t.Errorf("-c alarmEmail subscribes %d times", len(subscriptions))
	}
}

func TestTheStackTellsWhatPeopleAndToolsNeed(t *testing.T) {
	want := []string{"AlarmTopic", "ApiUrl", "BusName", "ConsoleUrl", "ImportBucket", "ReportBucket"}
	for _, plugin := range pluginNames() {
		want = append(want, "EventMapping"+plugin)
	}
	for function, task := range taskFunctions() {
		if task.Bucket != "" {
			want = append(want, "Bucket"+function)
		}
	}
	for m, more := range map[*made][]string{
		usual():   {"LoginUrl", "UserPoolClientId", "UserPoolId"},
		unusual(): {"BucketShippingScanLabels", "EventMappingQuiet", "EventMappingShipping", "ShelfShippingCustomsPapers", "ShelfShippingLists", "ShelfShippingTariffs"},
	} {
		want := append(slices.Clone(want), more...)
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(m.Outputs)); !slices.Equal(got, want) {
			t.Errorf("outputs are %v, want %v", got, want)
		}
	}
}

func TestAddressesAreNotAssumed(t *testing.T) {
	address := regexp.MustCompile(`arn:aws:|\d{12}`)
	b, err := json.Marshal(usual().Resources)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range address.FindAll(b, -1) {
		t.Errorf("the template has %s: accounts and partitions are not known yet", m)
	}
}
