package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"onlineshop/es"
	"onlineshop/platform/aws/wiring"
)

// shop is the stack while it is put together.
type shop struct {
	settings
	stack   awscdk.Stack
	api     awsapigateway.RestApi
	plugins []*plugin
	bus     awsevents.EventBus
	reports awss3.Bucket
	buckets map[string]awss3.Bucket // by task
	query   *function
	dead    []deadLetters // of everything
	all     []*function
}

// plugin is one plugin's share of the stack.
type plugin struct {
	es.Plugin
	events, cursors, parked, snapshots awsdynamodb.Table
	keys                               awsdynamodb.Table // of personal data; nil: it has none

	rows     []rows
	inboxes  []*inbox // of the aggregates that followers send to, then of the side effects
	boundary *inbox   // of what side effects hear of others; nil: nothing
	commands []*command

	projector, eventMapping *function
	publications            awslambda.CfnAlias // of eventMapping; nil: nobody listens
}

// newShop adds the stack Shop, which runs the plugins, to the app.
func newShop(app awscdk.App, c settings, all []es.Plugin) awscdk.Stack {
	s := &shop{settings: c, buckets: map[string]awss3.Bucket{}, stack: awscdk.NewStack(app, jsii.String("Shop"), &awscdk.StackProps{
		Description:        jsii.String("An event-sourced online shop"),
		AnalyticsReporting: jsii.Bool(false),
	})}
	s.api = s.restAPI()
	s.bus = awsevents.NewEventBus(s.stack, jsii.String("Bus"), &awsevents.EventBusProps{
		Description: jsii.String("What plugins tell each other: entries of their extension points, and heartbeats"),
	})
	s.reports = s.bucket("Reports", awss3.HttpMethods_GET)
	s.reports.AddLifecycleRule(&awss3.LifecycleRule{ // addresses are in them
		Prefix: jsii.String(wiring.EmailPrefix), Expiration: awscdk.Duration_Days(jsii.Number(30)),
	})
	s.reports.AddLifecycleRule(&awss3.LifecycleRule{ // an e-mail's name is needed as long as the e-mail is there, and S3 may be late
		Prefix: jsii.String(wiring.AboutPrefix), Expiration: awscdk.Duration_Days(jsii.Number(37)),
	})
	for _, p := range all {
		s.plugins = append(s.plugins, s.data(p))
	}
	for _, p := range s.plugins {
		s.readers(p)
	}
	identity, login := s.identity()
	for _, p := range s.plugins {
		s.deciders(p, identity)
		s.effects(p)
		s.tasks(p)
		s.subscribe(p)
	}
	s.query = s.queryFunction(identity, login)
	s.routes()
	s.alarms(s.api)

	s.output("ApiUrl", s.api.Url(), "The HTTP API's base URL")
	s.output("ConsoleUrl", jsii.String(s.consoleURL()), "The page for people")
	s.output("ReportBucket", s.reports.BucketName(), "Bucket of the tasks' reports, and of e-mails that were not sent")
	s.output("BusName", s.bus.EventBusName(), "Bus of what the plugins publish")
	for _, p := range s.plugins {
		s.output("EventMapping"+p.Name, p.eventMapping.FunctionName(), p.Name+"'s event mapping function, which also does operations")
	}
	return s.stack
}

func (s *shop) output(name string, value *string, about string) {
	awscdk.NewCfnOutput(s.stack, jsii.String(name), &awscdk.CfnOutputProps{Value: value, Description: jsii.String(about)})
}

// removal is what becomes of data when the stack is destroyed.
func (s *shop) removal() awscdk.RemovalPolicy {
	if s.destroy {
		return awscdk.RemovalPolicy_DESTROY
	}
	return awscdk.RemovalPolicy_RETAIN
}

// pluginNamed returns the plugin; definitions name plugins that are there.
func (s *shop) pluginNamed(name string) *plugin {
	i := slices.IndexFunc(s.plugins, func(p *plugin) bool { return p.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("there is no plugin %s", name))
	}
	return s.plugins[i]
}

// id is a full name as it stands in construct ids: "CatalogProduct" for
// "Catalog.Product".
func id(name string) string { return strings.ReplaceAll(name, ".", "") }
