package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// inbox is the queue of what followers are to act on. Order comes from their
// cursors, so a standard queue does.
type inbox struct {
	of          string // target aggregate, or plugin for its side effects
	queue, dead awssqs.Queue
}

// deadLetters is where messages end that were tried in vain.
type deadLetters struct {
	name, of string // construct id; what they are, for people
	queue    awssqs.Queue
}

// inbox makes the queue that a function of that timeout reads: a message stays
// hidden for six times as long, as Lambda advises, before it is tried again.
func (s *shop) inbox(of string, timeout time.Duration) *inbox {
	dead := s.deadLetters(id(of), "hints for "+of)
	return &inbox{of: of, dead: dead, queue: awssqs.NewQueue(s.stack, jsii.String(id(of)+"Inbox"), &awssqs.QueueProps{
		Encryption:        awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:        jsii.Bool(true),
		VisibilityTimeout: seconds(6 * timeout),
		RetentionPeriod:   awscdk.Duration_Days(jsii.Number(14)),
		RemovalPolicy:     awscdk.RemovalPolicy_DESTROY,
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: jsii.Number(10)},
	})}
}

func (s *shop) deadLetters(of, about string) awssqs.Queue {
	name := of + "DeadLetters"
	q := awssqs.NewQueue(s.stack, jsii.String(name), &awssqs.QueueProps{
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(14)),
		RemovalPolicy:   awscdk.RemovalPolicy_DESTROY, // hints only: the log has everything
	})
	s.dead = append(s.dead, deadLetters{name, about, q})
	return q
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
	for _, x := range p.Extensions {
		d := x.Definition()
		in := p.inboxOf(d.Target)
		awsevents.NewRule(s.stack, jsii.String(p.Name+id(d.Name)+"Rule"), &awsevents.RuleProps{
			Description:  jsii.String(d.Point.Name + " to " + p.Name + "." + d.Name),
			EventBus:     s.bus,
			EventPattern: &awsevents.EventPattern{Source: jsii.Strings(owner(d.Point.Name)), DetailType: jsii.Strings(d.Point.Name)},
			Targets: &[]awsevents.IRuleTarget{
				awseventstargets.NewSqsQueue(in.queue, &awseventstargets.SqsQueueProps{DeadLetterQueue: in.dead}),
			},
		})
	}
}

// schedule has the plugin's event mapping function try again what is parked,
// and report itself. A tick that fails is followed by the next.
func (s *shop) schedule(p *plugin, tick any) {
	awsevents.NewRule(s.stack, jsii.String(p.Name+"Tick"), &awsevents.RuleProps{
		Description: jsii.String("Has " + p.Name + " try again what is parked, and report itself"),
		Schedule:    awsevents.Schedule_Rate(awscdk.Duration_Minutes(jsii.Number(1))),
		Targets: &[]awsevents.IRuleTarget{
			awseventstargets.NewLambdaFunction(p.eventMapping.Function, &awseventstargets.LambdaFunctionProps{
				Event:         awsevents.RuleTargetInput_FromObject(tick),
				RetryAttempts: jsii.Number(0),
			}),
		},
	})
}

// maxReaders is how many messages' batches of one inbox are worked on side by
// side, so that the flood after an import leaves room for people.
const maxReaders = 20

// reads has the function called with what is in the inbox.
func (f *function) reads(in *inbox) {
	f.may("sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes", in.queue.QueueArn())
	awslambda.NewEventSourceMapping(f.Function, jsii.String("Inbox"), &awslambda.EventSourceMappingProps{
		Target:                  f.Function,
		EventSourceArn:          in.queue.QueueArn(),
		BatchSize:               jsii.Number(10),
		MaxConcurrency:          jsii.Number(maxReaders),
		ReportBatchItemFailures: jsii.Bool(true),
	})
}

// streams has the function called with the table's new commits, in order for
// each stream. What fails is tried until it expires, in ever smaller batches.
func (f *function) streams(t awsdynamodb.Table) {
	f.may("dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator", t.TableStreamArn())
	f.may("dynamodb:ListStreams", jsii.String("*")) // it takes no resource
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
