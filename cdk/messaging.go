package main

import (
	"slices"
	"time"

	"onlineshop/es"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// inbox is the queue of what followers are to act on.
type inbox struct {
	of          string // target aggregate, or plugin for its side effects
	queue, dead awssqs.Queue
	bulk        awssqs.Queue // for bulk work; nil for side effects
}

// queues are the inbox's, by their names in the wiring.
func (in *inbox) queues() map[string]awssqs.Queue {
	out := map[string]awssqs.Queue{in.of: in.queue}
	if in.bulk != nil {
		out[in.of+wiring.BulkInbox] = in.bulk
	}
	return out
}

// urls are those of the inbox's queues, by their names in the wiring.
func (in *inbox) urls() map[string]string {
	out := map[string]string{}
	for name, q := range in.queues() {
		out[name] = *q.QueueUrl()
	}
	return out
}

// sends lets the function send to the inbox.
func (f *function) sends(in *inbox) {
	f.allow("sqs:SendMessage", in.queue.QueueArn())
	if in.bulk != nil {
		f.allow("sqs:SendMessage", in.bulk.QueueArn())
	}
}

// deadLetters is where messages end that were tried in vain.
type deadLetters struct {
	name, of string // construct id; what they are, for people
	queue    awssqs.Queue
}

// queueKind is how a queue hands out its messages.
type queueKind bool

const (
	// standard does for what sends commands: the order comes from the followers'
	// cursors, and a command that is sent twice takes effect once.
	standard queueKind = false
	// fifo is for side effects: two copies of a hint that are worked on at once
	// would both find that nothing was sent yet. It hands out one stream's messages
	// one after the other, other streams' side by side; it has no delays, and
	// EventBridge's rules and Lambda's asynchronous calls don't know streams, so what
	// they bring waits in a queue of its own first: see [function.listens].
	fifo queueKind = true
)

// inbox makes the queue that a function of that timeout reads: a message stays
// hidden for six times as long, as Lambda advises, before it is tried again.
func (s *shop) inbox(of string, kind queueKind, timeout time.Duration) *inbox {
	in := &inbox{of: of, dead: s.deadLetters(id(of), kind, "hints for "+of)}
	queue := func(name string) awssqs.Queue {
		return s.queue(id(of)+name, kind, &awssqs.QueueProps{
			VisibilityTimeout: seconds(6 * timeout),
			DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: in.dead, MaxReceiveCount: jsii.Number(10)},
		})
	}
	if in.queue = queue("Inbox"); kind == standard {
		in.bulk = queue("BulkInbox")
	}
	return in
}

func (s *shop) deadLetters(of string, kind queueKind, about string) awssqs.Queue {
	name := of + "DeadLetters"
	q := s.queue(name, kind, &awssqs.QueueProps{})
	s.dead = append(s.dead, deadLetters{name, about, q})
	return q
}

// queue makes one that goes with the stack: it holds hints only, the log has
// everything.
func (s *shop) queue(id string, kind queueKind, q *awssqs.QueueProps) awssqs.Queue {
	q.Encryption = awssqs.QueueEncryption_SQS_MANAGED
	q.EnforceSSL = jsii.Bool(true)
	q.RetentionPeriod = awscdk.Duration_Days(jsii.Number(14))
	q.RemovalPolicy = awscdk.RemovalPolicy_DESTROY
	if kind == fifo { // with quotas by group, of which there are as many as streams
		q.Fifo = jsii.Bool(true)
		q.DeduplicationScope = awssqs.DeduplicationScope_MESSAGE_GROUP
		q.FifoThroughputLimit = awssqs.FifoThroughputLimit_PER_MESSAGE_GROUP_ID
	}
	return awssqs.NewQueue(s.stack, jsii.String(id), q)
}

// inboxOf returns the inbox of an aggregate or a plugin's side effects; nil
// where there is none.
func (p *plugin) inboxOf(name string) *inbox {
	for _, in := range p.inboxes {
		if in.of == name {
			return in
		}
	}
	return nil
}

// subscribe brings what other plugins publish to the plugin's extensions: a rule
// for each, from the extension point to the inbox of the extension's aggregate.
func (s *shop) subscribe(p *plugin) {
	for _, d := range p.Extensions {
		in := p.inboxOf(d.Target)
		if !d.Accepts {
			s.rule(p, d, d.Point.Name, "", in)
			continue
		}
		for _, point := range s.asked(d) {
			s.rule(p, d, point, "From"+naming.Plugin(point), in)
		}
	}
}

// asked are the names under which requests for an accepting extension are on the bus: one
// for each plugin that asks.
func (s *shop) asked(x es.Extension) (points []string) {
	for _, p := range s.plugins {
		for _, d := range p.Publications {
			if d.Asks && naming.Short(d.Point.Name) == x.Point.Name && !slices.Contains(points, d.Point.Name) {
				points = append(points, d.Point.Name)
			}
		}
	}
	return points
}

// rule brings what is published at the point to the inbox of the extension's aggregate.
func (s *shop) rule(p *plugin, d es.Extension, point, from string, in *inbox) {
	for _, lane := range []struct {
		rule  string
		queue awssqs.Queue
		bulk  any
	}{{"Rule", in.queue, map[string]any{"exists": false}}, {"BulkRule", in.bulk, true}} {
		awsevents.NewRule(s.stack, jsii.String(p.Name+id(d.Name)+from+lane.rule), &awsevents.RuleProps{
			Description: jsii.String(point + " to " + naming.Full(p.Name, d.Name)),
			EventBus:    s.bus,
			EventPattern: &awsevents.EventPattern{
				Source: jsii.Strings(naming.Plugin(point)), DetailType: jsii.Strings(point),
				Detail: &map[string]any{"bulk": []any{lane.bulk}},
			},
			Targets: &[]awsevents.IRuleTarget{
				awseventstargets.NewSqsQueue(lane.queue, &awseventstargets.SqsQueueProps{DeadLetterQueue: in.dead}),
			},
		})
	}
}

// ownsItsSource lets nobody but the plugin's event mapping function put events of the
// plugin on the bus, whatever else they may in the account.
func (s *shop) ownsItsSource(p *plugin) {
	s.bus.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String(p.Name + "Source"),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewStarPrincipal()},
		Actions:    jsii.Strings("events:PutEvents"),
		Resources:  &[]*string{s.bus.EventBusArn()},
		Conditions: &map[string]any{
			"ForAnyValue:StringEquals": map[string]any{"events:source": []string{p.Name}},
			"ArnNotEquals":             map[string]any{"aws:PrincipalArn": p.eventMapping.Role().RoleArn()},
		},
	}))
}

// schedule has the plugin's event mapping function try again what is parked,
// and report itself. A tick that fails or waits is followed by the next, so
// neither EventBridge nor Lambda's own queue keeps one for later.
func (s *shop) schedule(p *plugin, tick any) {
	p.eventMapping.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{
		RetryAttempts: jsii.Number(0), MaxEventAge: awscdk.Duration_Minutes(jsii.Number(1)),
	})
	s.everyMinute(p.Name+"Tick", "Has "+p.Name+" try again what is parked, and report itself", p.eventMapping, tick)
}

// everyMinute has the function called every minute. A schedule needs no rule of its own:
// its minutes are counted by the function, which knows what it has missed.
func (s *shop) everyMinute(id, about string, f *function, event any) {
	awsevents.NewRule(s.stack, jsii.String(id), &awsevents.RuleProps{
		Description: jsii.String(about),
		Schedule:    awsevents.Schedule_Rate(awscdk.Duration_Minutes(jsii.Number(1))),
		Targets: &[]awsevents.IRuleTarget{
			awseventstargets.NewLambdaFunction(f.Function, &awseventstargets.LambdaFunctionProps{
				Event:         awsevents.RuleTargetInput_FromObject(event),
				RetryAttempts: jsii.Number(0),
			}),
		},
	})
}

// How many batches of one inbox are worked on at a time; of a FIFO queue, also no more
// than it has groups. Bulk work leaves the account's concurrency and the tables'
// throughput to people.
const (
	maxReaders     = 20
	maxBulkReaders = 5
)

// reads has the function called with what is in the inbox.
func (f *function) reads(in *inbox) {
	if f.readsQueue("Inbox", in.queue, maxReaders); in.bulk != nil {
		f.readsQueue("BulkInbox", in.bulk, maxBulkReaders)
	}
}

func (f *function) readsQueue(name string, queue awssqs.Queue, readers float64) {
	f.allow("sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes", queue.QueueArn())
	awslambda.NewEventSourceMapping(f.Function, jsii.String(name), &awslambda.EventSourceMappingProps{
		Target:                  f.Function,
		EventSourceArn:          queue.QueueArn(),
		BatchSize:               jsii.Number(10),
		MaxConcurrency:          jsii.Number(readers),
		ReportBatchItemFailures: jsii.Bool(true),
	})
}

// streams has the function called with the table's new commits, in order for
// each stream. What fails is tried until it expires, in ever smaller batches.
func (f *function) streams(t awsdynamodb.Table) {
	f.allow("dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator", t.TableStreamArn())
	f.allow("dynamodb:ListStreams", jsii.String("*")) // it takes no resource
	f.reader = true
	awslambda.NewEventSourceMapping(f.Function, jsii.String("Stream"), &awslambda.EventSourceMappingProps{
		Target:                  f.Function,
		EventSourceArn:          t.TableStreamArn(),
		StartingPosition:        awslambda.StartingPosition_TRIM_HORIZON,
		BatchSize:               jsii.Number(100),
		BisectBatchOnError:      jsii.Bool(true),
		ReportBatchItemFailures: jsii.Bool(true),
		RetryAttempts:           jsii.Number(-1),
		Filters: &[]*map[string]any{
			awslambda.FilterCriteria_Filter(&map[string]any{"eventName": awslambda.FilterRule_IsEqual("INSERT")}),
		},
	})
}

func seconds(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Seconds(jsii.Number(d.Seconds()))
}
