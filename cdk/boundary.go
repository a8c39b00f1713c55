package main

import (
	"slices"

	"onlineshop/es/naming"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// hears are the extension points whose events set off side effects of the plugin.
func (p *plugin) hears() (points []string) {
	for _, t := range p.Tasks {
		for _, e := range t.SideEffects {
			if e.Point.Name != "" {
				points = append(points, e.Point.Name)
			}
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// hearing makes the queue in which the plugin's side effects hear what others publish. One
// does for live and for bulk work: each message is only put into the inbox of side effects,
// which has both.
func (s *shop) hearing(p *plugin) *inbox {
	in := &inbox{of: p.Name, dead: s.deadLetters(p.Name+"Boundary", standard, "what "+p.Name+"'s side effects hear of others")}
	in.queue = s.queue(p.Name+"BoundaryInbox", standard, &awssqs.QueueProps{
		VisibilityTimeout: seconds(6 * effectTimeout),
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: in.dead, MaxReceiveCount: jsii.Number(10)},
	})
	return in
}

// listens has the function hear what other plugins publish: a rule for each extension point
// brings it to the queue, from where the function puts it into the inbox of side effects,
// by stream. It asks the publishers for what it missed.
func (f *function) listens(s *shop, p *plugin) {
	if p.boundary == nil {
		return
	}
	f.readsQueue("Boundary", p.boundary.queue, maxReaders)
	f.sends(p.inboxOf(p.Name))
	f.allow("dynamodb:Scan", p.cursors.TableArn()) // once: which followers were here before starts were kept
	for _, publisher := range p.heardPlugins() {
		f.allow(invoke, s.pluginNamed(publisher).published())
	}
	for _, point := range p.hears() {
		awsevents.NewRule(s.stack, jsii.String(p.Name+id(point)+"BoundaryRule"), &awsevents.RuleProps{
			Description:  jsii.String(point + " to " + p.Name + "'s side effects"),
			EventBus:     s.bus,
			EventPattern: &awsevents.EventPattern{Source: jsii.Strings(naming.Plugin(point)), DetailType: jsii.Strings(point)},
			Targets: &[]awsevents.IRuleTarget{
				awseventstargets.NewSqsQueue(p.boundary.queue, &awseventstargets.SqsQueueProps{DeadLetterQueue: p.boundary.dead}),
			},
		})
	}
}

// heardPlugins are the plugins that publish what the plugin's side effects hear.
func (p *plugin) heardPlugins() (publishers []string) {
	for _, point := range p.hears() {
		publishers = append(publishers, naming.Plugin(point))
	}
	return slices.Compact(publishers) // they are sorted, as the points are
}
