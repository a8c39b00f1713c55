// Package wiring is what the CDK app and the Lambdas agree on: which resources
// there are for a plugin, how tables are keyed, and how a function is told the
// physical names. It imports nothing but the standard library, so that neither
// side carries the other's SDK.
package wiring

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"onlineshop/es/naming"
)

// Environment variables of the functions, beside [Variable].
const (
	// Variable holds the function's [Wiring] as JSON: only what it needs, since
	// there is room for [MaxVariables] bytes.
	Variable = "SHOP_WIRING"
	// Plugin is the plugin of a projector, eventmapping or notifications function.
	Plugin = "SHOP_PLUGIN"
	// Aggregate is the full name of a command function's aggregate.
	Aggregate = "SHOP_AGGREGATE"
	// Task is the full name of an import function's task, e.g. Catalog.ImportProducts.
	Task = "SHOP_TASK"
	// Auth is none or jwt; JWTIssuer and JWTAudience go with jwt (Cognito is a
	// jwt issuer like any other).
	Auth        = "SHOP_AUTH"
	JWTIssuer   = "SHOP_JWT_ISSUER"
	JWTAudience = "SHOP_JWT_AUDIENCE"
	// LoginURL is where people sign in, if that is not the issuer's own address (Cognito's
	// is a domain of its own).
	LoginURL = "SHOP_LOGIN_URL"
	// EmailFrom is the sender's address; empty: messages are kept in the report
	// bucket under emails/.
	EmailFrom = "SHOP_EMAIL_FROM"
	// Name of the shop and Currency of its prices (ISO 4217), for the console.
	Name     = "SHOP_NAME"
	Currency = "SHOP_CURRENCY"
	// Version of the program, for /health.
	Version = "SHOP_VERSION"
)

// Wiring are physical names. A missing entry is a resource that the function has
// no business with.
type Wiring struct {
	Plugins map[string]PluginWiring `json:"plugins,omitempty"` // by plugin, "Catalog"
	Rows    map[string]string       `json:"rows,omitempty"`    // table by read model, "Catalog.Products"
	Inboxes map[string]string       `json:"inboxes,omitempty"` // queue URL, or its name for a function that sends nothing there, by target aggregate, with [BulkInbox] for bulk work, or by plugin for its side effects (a FIFO queue): "Ordering.Order", "Ordering.Order:bulk", "Ordering"
	Bus     string                  `json:"bus,omitempty"`
	Reports string                  `json:"reports,omitempty"` // bucket of reports and kept e-mails
	Buckets map[string]string       `json:"buckets,omitempty"` // by task, "Catalog.ImportProducts": for uploads
	Shelves map[string]string       `json:"shelves,omitempty"` // bucket by declared name, "price-lists": of those whose objects stay
	Rest    bool                    `json:"rest,omitempty"`    // there was no room for what the plugins' event mappings are told, too: see [Wiring.Add]
}

// MaxVariables is how many bytes all variables of a function may have.
const MaxVariables = 4 << 10

// Short returns what of the wiring a function can't learn from the plugins' event mappings.
func (w Wiring) Short() Wiring {
	plugins := map[string]PluginWiring{}
	for name, p := range w.Plugins {
		plugins[name] = PluginWiring{EventMapping: p.EventMapping, Projector: p.Projector}
	}
	w.Plugins, w.Rows, w.Inboxes, w.Rest = plugins, nil, nil, true
	return w
}

// Add adds what a plugin's event mapping is told of its tables and inboxes.
func (w *Wiring) Add(plugin string, told Wiring) {
	p, t := w.Plugins[plugin], told.Plugins[plugin]
	p.Events, p.Cursors, p.Parked, p.Keys = t.Events, t.Cursors, t.Parked, t.Keys
	w.Plugins[plugin] = p
	if w.Rows == nil {
		w.Rows, w.Inboxes = map[string]string{}, map[string]string{}
	}
	maps.Copy(w.Rows, told.Rows)
	maps.Copy(w.Inboxes, told.Inboxes)
}

// PluginWiring are a plugin's own resources.
type PluginWiring struct {
	Events       string `json:"events,omitempty"`    // table
	Cursors      string `json:"cursors,omitempty"`   // table; heartbeats too
	Parked       string `json:"parked,omitempty"`    // table
	Snapshots    string `json:"snapshots,omitempty"` // table
	Keys         string `json:"keys,omitempty"`      // table, of a plugin with personal data
	EventMapping string `json:"relay,omitempty"`     // function name, or the ARN of its [PublicationsAlias]
	Projector    string `json:"projector,omitempty"` // function name: /health asks CloudWatch for its lag
}

// Keys of the tables. All keys are strings but Seq, a number.
const (
	// Events: partition key Stream ("Product#p1"), sort key Seq; attributes events,
	// version, meta. Stream NEW_IMAGE.
	Stream = "stream"
	Seq    = "seq"
	// Cursors: partition key Key, "<follower>\n<stream>", "heartbeat", "lag", "starts" or "cursor-key";
	// and as below.
	// Rows: partition key Key, the row's id; where rows are below streams, Key is the
	// stream's id and the sort key Sub "=" and the sub-id, of its head "=". Snapshots and keys of
	// personal data: partition key Key, the stream.
	// Rows of a keyed view likewise, below their keys; those with totals are in the index Keys,
	// which has Shard, of the key, as partition key and Key as sort key, and nothing else.
	Key  = "key"
	Sub  = "sub"
	Keys = "keys"
	// Parked: partition key Consumer, sort key Stream (the full stream name).
	Consumer = "consumer"
	// Rejections stand among the cursors, with the key "rejection\n<hash of the command's
	// id>". They are in the index Consumer, with partition key Consumer and sort key Order, and
	// have Expires: when DynamoDB deletes an item, in seconds since 1970. So are the hints that
	// wait until they are due: Order is when, and what; Key is [DuePrefix] and Order, Consumer
	// is [DuePrefix] and a number that spreads them.
	Order   = "order"
	Expires = "expires"
	// Owner is an attribute of rows, and with Key the key of the index of that
	// name, where a read model has owners.
	Owner = "owner"
)

// BulkInbox ends the name of an aggregate's inbox for bulk work. Its hints are never
// before those of live work, which has a queue of its own.
const BulkInbox = ":bulk"

// Index is the name of the index, and of the row attribute that is its partition
// key, for a read model's declared field. Its sort key is Key.
func Index(field string) string { return "by_" + field }

// Shard is the row attribute that is the partition key of the indexes of sorts, so that
// they take as many writes as so many partitions do: one of [Shards] numbers, which the
// row's id decides.
const (
	Shard  = "shard"
	Shards = 8
)

// Sort is the name of the index, and of the row attribute that is its sort key, for a
// sort that a read model declares. Its partition key is Shard.
func Sort(field string) string { return "sort_" + field }

// Prefixes of the objects in the bucket of reports: a task's reports, which the
// query function may hand out, e-mails, which it may not, and names of the e-mails
// below whom they are about.
const (
	ReportPrefix = "reports/"
	EmailPrefix  = "emails/"
	AboutPrefix  = "about/"
)

// AboutPlugin is where the names of e-mails about a plugin's subjects are.
func AboutPlugin(plugin string) string { return AboutPrefix + plugin + "/" }

// ShelfOutput is the stack's output that names a bucket of a plugin's whose objects stay:
// ShelfShippingCustomsPapers.
func ShelfOutput(plugin, bucket string) string {
	out := "Shelf" + plugin
	for _, word := range strings.Split(bucket, "-") {
		out += strings.ToUpper(word[:1]) + word[1:]
	}
	return out
}

// What EventBridge calls the changes of buckets whose objects stay.
const (
	ObjectSource  = "aws.s3"
	ObjectCreated = "Object Created"
	ObjectDeleted = "Object Deleted"
)

// PublicationsAlias is the alias of an event mapping function that other plugins call
// it by: it answers [DoPublications] there, and nothing else.
const PublicationsAlias = "publications"

// Metrics that the alarms look at. Functions write them to their logs in
// CloudWatch's embedded metric format, and all that the engine counts likewise
// (Parked, SideEffectFailed, TaskFailed, SnapshotSkipped, ClockBehind, StreamDamaged): each value once by
// plugin alone, and once by plugin and consumer.
const (
	MetricNamespace        = "Shop"
	DimensionPlugin        = "Plugin"
	DimensionConsumer      = "Consumer"   // e.g. mapping:Ordering.AutoShip, or an aggregate
	MetricHeartbeat        = "Heartbeat"  // 1 whenever a plugin reports itself
	MetricParkedKeys       = "ParkedKeys" // how many keys are parked, at every tick
	MetricClockBehind      = "ClockBehind"
	MetricStreamDamaged    = "StreamDamaged"
	MetricSideEffectFailed = "SideEffectFailed"
	MetricTaskFailed       = "TaskFailed"
)

// StreamKey is an aggregate's partition key in its plugin's Events table:
// "Product#p1" for p1 of Catalog.Product.
func StreamKey(aggregate, id string) string {
	return naming.Short(aggregate) + "#" + id
}

// Encode is the wiring as a function's variable has it.
func (w Wiring) Encode() string {
	b, err := json.Marshal(w)
	if err != nil {
		panic(err) // maps of strings
	}
	return string(b)
}

// FromEnvironment reads the function's wiring.
func FromEnvironment() (Wiring, error) {
	var w Wiring
	if err := json.Unmarshal([]byte(os.Getenv(Variable)), &w); err != nil {
		return w, fmt.Errorf("read the wiring from %s: %w", Variable, err)
	}
	return w, nil
}

// What an [Operation] may ask for. [DoTick] is what the schedule asks for every
// minute: [DoRedriveDue], and a heartbeat where the plugin's is due.
const (
	DoPublications = "publications"
	DoParked       = "parked"
	DoRedrive      = "redrive"
	DoRedriveDue   = "redrive-due"
	DoRedriveKey   = "redrive-key"
	DoSkip         = "skip"
	DoSweep        = "sweep"
	DoRebuild      = "rebuild"
	DoCheck        = "check"
	DoHeartbeat    = "heartbeat"
	DoTick         = "tick"
	DoAsk          = "ask" // has a schedule run once more
	DoVerify       = "verify"
)

// HeartbeatKey and StartsKey are the keys of a plugin's heartbeat and of its
// followers' starts in its Cursors table; CursorKey, in the first plugin's, that of
// what the API's cursors are encrypted with. HeartbeatType is the detail-type of
// the heartbeat's event on the bus.
const (
	CursorKey     = "cursor-key"
	HeartbeatKey  = "heartbeat"
	StartsKey     = "starts"
	DeclaredKey   = "declared" // what the rows of the plugin's read models are made, sorted and searched by
	LagKey        = "lag"      // how far the plugin's stream was behind, lately
	RestoreKey    = "restore"  // a restore that has not come to its end: of which file, and how far it is
	HeartbeatType = "Heartbeat"
	DuePrefix     = "due/"
	// SchedulePrefix and a schedule's full name are the key of its state.
	SchedulePrefix = "schedule/"
)

// Operation is what is asked of a plugin's eventmapping function by direct
// invocation. Its answer is a [Answer].
type Operation struct {
	Do        string `json:"do"`
	Cursor    string `json:"cursor,omitempty"`
	ReadModel string `json:"readModel,omitempty"` // rebuild, check
	Point     string `json:"point,omitempty"`     // publications
	Stream    string `json:"stream,omitempty"`    // publications, and of one key: full stream name
	Consumer  string `json:"consumer,omitempty"`  // of one key
	Who       string `json:"who,omitempty"`       // skip: the operator
	Reason    string `json:"reason,omitempty"`    // skip: the operator's
	From      int64  `json:"from,omitempty"`      // publications: place in the stream; verify: when rows have to be settled, in Unix seconds
	Schedule  string `json:"schedule,omitempty"`  // ask: full name
}

// Answer is an [Operation]'s. Error tells what went wrong; a retriable failure
// is an error of the invocation instead.
type Answer struct {
	Done         int             `json:"done"`
	Next         string          `json:"next,omitempty"`
	More         bool            `json:"more,omitempty"`
	From         int64           `json:"from,omitempty"`         // publications: where to go on
	Publications json.RawMessage `json:"publications,omitempty"` // as details of the bus
	Parked       []Parked        `json:"parked,omitempty"`
	Differences  json.RawMessage `json:"differences,omitempty"` // check: as over HTTP
	Untold       int             `json:"untold,omitempty"`      // check: further differences
	Verified     json.RawMessage `json:"verified,omitempty"`    // an [engine.Verified]
	Error        string          `json:"error,omitempty"`
	Rejection    *Rejection      `json:"rejection,omitempty"` // what Error is, where it is one
}

// Rejection is an [es.Rejection] on its way.
type Rejection struct {
	Code   string `json:"code"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Parked is a key that is parked.
type Parked struct {
	Consumer string    `json:"consumer"`
	Stream   string    `json:"stream"` // full stream name
	Error    string    `json:"error"`
	Since    time.Time `json:"since"`
	Last     time.Time `json:"last"`
	Attempts int       `json:"attempts"`
}
