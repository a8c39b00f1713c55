package main

import (
	"maps"
	"net/mail"
	"os"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"onlineshop/es"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// readers makes the two functions that read the plugin's stream (AWS advises no
// more per shard): one folds rows, the other routes hints and publications, and
// does operations when it is called.
func (s *shop) readers(p *plugin) {
	p.projector = s.function(p.Name+"Projector", functionSpec{
		kind: "projector", about: "Folds " + p.Name + "'s events into the rows of its read models",
		timeout: projectorTimeout, memory: 512,
		env: map[string]string{wiring.Plugin: p.Name},
		wiring: wiring.Wiring{
			Plugins: map[string]wiring.PluginWiring{p.Name: {Events: *p.events.TableName(), Parked: *p.parked.TableName()}},
			Rows:    p.tables(),
		},
	})
	p.projector.streams(p.events)
	p.projector.projects(p)

	p.eventMapping = s.function(p.Name+"EventMapping", functionSpec{
		kind: "eventmapping", about: "Tells followers of " + p.Name + "'s events, and does its operations",
		timeout: eventMappingTimeout, memory: 512,
		env: map[string]string{wiring.Plugin: p.Name, wiring.Version: s.version},
		wiring: wiring.Wiring{
			Plugins: map[string]wiring.PluginWiring{p.Name: {
				Events: *p.events.TableName(), Cursors: *p.cursors.TableName(), Parked: *p.parked.TableName(),
			}},
			Rows: p.tables(), Inboxes: p.queues(), Bus: *s.bus.EventBusName(),
		},
	})
	f := p.eventMapping
	f.streams(p.events)
	f.projects(p) // a sweep and a rebuild fold rows too
	f.allow(listStreams, p.events.TableArn())
	f.allow(moveCursor, p.cursors.TableArn())
	f.allow("dynamodb:Scan", p.cursors.TableArn()) // once: which followers were here before starts were kept
	f.allowIf("ForAllValues:StringEquals", "dynamodb:LeadingKeys", []string{wiring.HeartbeatKey}, "dynamodb:PutItem", p.cursors.TableArn())
	f.allow(listParked+" "+unpark, p.parked.TableArn())
	f.allowIf("StringEquals", "events:source", []string{p.Name}, "events:PutEvents", s.bus.EventBusArn()) // as no other plugin
	for _, in := range p.inboxes {
		f.sends(in)
	}
	s.ownsItsSource(p)
	s.schedule(p, wiring.Operation{Do: wiring.DoTick})
}

// projects lets the function fold the plugin's rows.
func (f *function) projects(p *plugin) {
	f.allow(readLog, p.events.TableArn())
	f.allow(park, p.parked.TableArn())
	for _, r := range p.rows {
		f.allow(readRow+" "+writeRow, r.table.TableArn())
	}
}

// tables are the names of the plugin's read models' tables.
func (p *plugin) tables() map[string]string {
	out := map[string]string{}
	for _, r := range p.rows {
		out[r.model] = *r.table.TableName()
	}
	return out
}

// queues are the URLs of the plugin's inboxes.
func (p *plugin) queues() map[string]string {
	out := map[string]string{}
	for _, in := range p.inboxes {
		maps.Copy(out, in.urls())
	}
	return out
}

// published is the ARN of the alias that other plugins ask for publications by: it
// gives them no right to operations, or to tell of commits.
func (p *plugin) published() *string {
	if p.publications == nil {
		p.publications = awslambda.NewCfnAlias(p.eventMapping.Function, jsii.String("Publications"), &awslambda.CfnAliasProps{
			Name: jsii.String(wiring.PublicationsAlias), FunctionName: p.eventMapping.FunctionName(), FunctionVersion: jsii.String("$LATEST"),
			Description: jsii.String("Answers what " + p.Name + " has published, and nothing else"),
		})
	}
	return p.publications.Ref()
}

// command is an aggregate's function.
type command struct {
	*function
	es.AggregateDefinition
}

// deciders makes a function for each aggregate that users or followers send
// commands to; an internal one that no follower sends to is a task's alone.
func (s *shop) deciders(p *plugin, identity map[string]string) {
	for _, a := range p.Aggregates {
		d := a.Definition()
		in := p.inboxOf(d.Name)
		if d.Internal && in == nil {
			continue
		}
		own := wiring.PluginWiring{Events: *p.events.TableName(), Snapshots: *p.snapshots.TableName()}
		w := wiring.Wiring{Plugins: map[string]wiring.PluginWiring{}}
		if in != nil {
			own.Cursors, own.Parked = *p.cursors.TableName(), *p.parked.TableName()
			w.Inboxes = in.urls()
		}
		w.Plugins[p.Name] = own
		publishers := p.heard(d.Name)
		for _, name := range publishers {
			publisher := w.Plugins[name] // a plugin may listen to itself
			publisher.EventMapping = *s.pluginNamed(name).published()
			w.Plugins[name] = publisher
		}
		env := map[string]string{wiring.Aggregate: d.Name}
		if !d.Internal {
			maps.Copy(env, identity)
		}
		f := s.function(id(d.Name)+"Command", functionSpec{
			kind: "command", about: "Decides on commands for " + d.Name,
			timeout: commandTimeout, memory: 512, env: env, wiring: w,
		})
		f.appends(p, d.Name)
		f.allow(readLog, p.events.TableArn())
		f.allow(restore+" "+snapshot, p.snapshots.TableArn())
		if in != nil {
			f.reads(in)
			f.follows(p)
			if slices.ContainsFunc(p.Mappings, func(m es.Mapping) bool { return m.Target == d.Name }) {
				f.sends(in) // to itself, what is not due yet
			}
		}
		for _, name := range publishers {
			f.allow(invoke, s.pluginNamed(name).published())
		}
		p.commands = append(p.commands, &command{f, d})
	}
}

// follows lets the function keep places in the plugin's streams, and park.
func (f *function) follows(p *plugin) {
	f.allow(moveCursor, p.cursors.TableArn())
	f.allow(park+" "+readParked+" "+unpark, p.parked.TableArn())
}

// heard are the plugins whose publications reach the aggregate.
func (p *plugin) heard(aggregate string) (publishers []string) {
	for _, x := range p.Extensions {
		if x.Target == aggregate {
			publishers = append(publishers, naming.Plugin(x.Point.Name))
		}
	}
	slices.Sort(publishers)
	return slices.Compact(publishers)
}

// effects makes the function that runs the plugin's side effects, where it has any.
func (s *shop) effects(p *plugin) {
	in := p.inboxOf(p.Name)
	if in == nil {
		return
	}
	w := wiring.Wiring{Plugins: map[string]wiring.PluginWiring{p.Name: {
		Events: *p.events.TableName(), Cursors: *p.cursors.TableName(),
		Parked: *p.parked.TableName(), Snapshots: *p.snapshots.TableName(),
	}}}
	env := map[string]string{wiring.Plugin: p.Name}
	if s.emailFrom == "" {
		w.Reports = *s.reports.BucketName()
	} else {
		env[wiring.EmailFrom] = s.emailFrom
	}
	f := s.function(p.Name+"Notifications", functionSpec{
		kind: "notifications", about: "Runs " + p.Name + "'s side effects",
		timeout: effectTimeout, memory: 256, env: env, wiring: w,
	})
	f.reads(in)
	f.follows(p)
	f.allow(readLog, p.events.TableArn())
	f.allow(restore, p.snapshots.TableArn())
	if s.emailFrom == "" {
		f.allow("s3:PutObject", inBucket(s.reports.BucketArn(), wiring.EmailPrefix+"*"))
	} else {
		s.maySend(f)
	}
}

// maySend lets the function send e-mail as the configured sender alone. Which
// identities SES asks for is not known before: the address's, its domain's or that
// domain's parent's, whichever is verified, and in the sandbox the recipient's, too.
func (s *shop) maySend(f *function) {
	from, err := mail.ParseAddress(s.emailFrom)
	if err != nil {
		panic(err) // checked with the settings
	}
	f.allowIf("StringEquals", "ses:FromAddress", []string{from.Address}, "ses:SendEmail ses:SendRawEmail",
		s.stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("ses"), Resource: jsii.String("identity"), ResourceName: jsii.String("*"),
		}))
}

// tasks makes a bucket, and the function that its new objects set off, for each
// of the plugin's tasks that has one.
func (s *shop) tasks(p *plugin) {
	for _, t := range p.Tasks {
		if t.Bucket == "" {
			continue
		}
		name := p.Name + t.Name
		f := s.function(name, functionSpec{
			kind: s.taskKind(t), about: t.Name + " of " + p.Name + ": works on what is put into its bucket",
			timeout: s.importTimeout, memory: 1024, selfInvoking: true,
			env: map[string]string{wiring.Task: naming.Full(p.Name, t.Name)},
			wiring: wiring.Wiring{
				Plugins: map[string]wiring.PluginWiring{p.Name: {Events: *p.events.TableName(), Cursors: *p.cursors.TableName(), Snapshots: *p.snapshots.TableName()}},
				Reports: *s.reports.BucketName(),
			},
		})
		f.appends(p, targets(p, t)...)
		f.allow("dynamodb:GetItem", p.cursors.TableArn()) // how far the stream is behind
		f.allow(readLog, p.events.TableArn())
		f.allow(restore+" "+snapshot, p.snapshots.TableArn())
		f.allow("s3:PutObject", inBucket(s.reports.BucketArn(), wiring.ReportPrefix+"*"))
		f.allowSelfInvoke(s)
		s.notify(p, t, f)
	}
}

// targets are the aggregates that the task sends to.
func targets(p *plugin, t es.Task) (names []string) {
	sends := t.Sends
	if sends == nil {
		sends = p.Aggregates
	}
	for _, a := range sends {
		names = append(names, a.Definition().Name)
	}
	return names
}

// allowSelfInvoke lets the function call itself, to go on where it ran out of time. What
// fails in spite of two more tries, or waits for six hours, is kept.
func (f *function) allowSelfInvoke(s *shop) {
	dead := s.deadLetters(f.name, standard, "objects that "+f.name+" could not work on")
	f.allow("sqs:SendMessage", dead.QueueArn())
	awslambda.NewCfnEventInvokeConfig(f.Function, jsii.String("Retries"), &awslambda.CfnEventInvokeConfigProps{
		FunctionName:             f.FunctionName(),
		Qualifier:                jsii.String("$LATEST"),
		MaximumRetryAttempts:     jsii.Number(2),
		MaximumEventAgeInSeconds: jsii.Number(6 * 60 * 60),
		DestinationConfig: awslambda.CfnEventInvokeConfig_DestinationConfigProperty{
			OnFailure: awslambda.CfnEventInvokeConfig_OnFailureProperty{Destination: dead.QueueArn()},
		},
	})
	f.allowAfterwards(s, "Itself", statement(invoke, nil, []*string{f.FunctionArn()}))
}

// notify makes the task's bucket and has it call the function. The bucket waits
// for the function, so the function learns the bucket's name from its events.
func (s *shop) notify(p *plugin, t es.Task, f *function) {
	bucket := s.bucket(p.Name + t.Name + "Bucket")
	permission := awslambda.NewCfnPermission(f.Function, jsii.String("Bucket"), &awslambda.CfnPermissionProps{
		Action: jsii.String(invoke), FunctionName: f.FunctionArn(), Principal: jsii.String("s3.amazonaws.com"),
		SourceAccount: s.stack.Account(),
	})
	made := bucket.Node().DefaultChild().(awss3.CfnBucket)
	made.SetNotificationConfiguration(&awss3.CfnBucket_NotificationConfigurationProperty{
		LambdaConfigurations: &[]any{&awss3.CfnBucket_LambdaConfigurationProperty{
			Event: jsii.String("s3:ObjectCreated:*"), Function: f.FunctionArn(),
		}},
	})
	made.AddResourceDependency(permission, nil)
	f.allowAfterwards(s, "Objects",
		statement("s3:GetObject", nil, []*string{inBucket(bucket.BucketArn(), "*")}),
		statement("s3:ListBucket", nil, []*string{bucket.BucketArn()}), // or an object that is gone would be a forbidden one
	)
	about := "What is put here sets off " + naming.Full(p.Name, t.Name)
	s.output("Bucket"+p.Name+t.Name, bucket.BucketName(), about)
	const first = "ImportBucket" // as it was called while there was one
	if s.stack.Node().TryFindChild(jsii.String(first)) == nil {
		s.output(first, bucket.BucketName(), about)
	}
}

// queryFunction answers whatever asks for no decision: views, histories, health,
// descriptions, and operations, which it has the plugins do.
func (s *shop) queryFunction(identity map[string]string) *function {
	w := wiring.Wiring{
		Plugins: map[string]wiring.PluginWiring{}, Rows: map[string]string{}, Inboxes: map[string]string{},
		Reports: *s.reports.BucketName(),
	}
	env := map[string]string{wiring.Version: s.version}
	maps.Copy(env, identity)
	for _, p := range s.plugins {
		w.Plugins[p.Name] = wiring.PluginWiring{
			Events: *p.events.TableName(), Cursors: *p.cursors.TableName(), Parked: *p.parked.TableName(),
			EventMapping: *p.eventMapping.FunctionName(), Projector: *p.projector.FunctionName(),
		}
		maps.Copy(w.Rows, p.tables())
		maps.Copy(w.Inboxes, p.queues()) // for /health, which tells how long they keep hints waiting
		name := naming.UIBundleVariable(p.Name)
		if url := os.Getenv(name); url != "" {
			env[name] = url
		}
	}
	f := s.function("Query", functionSpec{
		kind: "query", about: "Answers queries, and passes operations on",
		timeout: queryTimeout, memory: 512, env: env, wiring: w,
	})
	for i, p := range s.plugins {
		f.allow(readLog, p.events.TableArn())
		f.allow("dynamodb:GetItem", p.cursors.TableArn()) // heartbeats
		if i == 0 {
			f.allowIf("ForAllValues:StringEquals", "dynamodb:LeadingKeys", []string{wiring.CursorKey}, "dynamodb:UpdateItem", p.cursors.TableArn())
		}
		f.allow(listParked, p.parked.TableArn())
		f.allow(invoke, p.eventMapping.FunctionArn())
		for _, r := range p.rows {
			f.allow(readRow+" "+listRows, r.table.TableArn())
			if len(r.indexes) > 0 {
				f.allow(queryRows, r.indexes...)
			}
		}
	}
	f.allow("s3:GetObject", inBucket(s.reports.BucketArn(), wiring.ReportPrefix+"*"))
	f.allow("s3:ListBucket", s.reports.BucketArn()) // or a report that is not there would be a forbidden one
	f.allow("cloudwatch:GetMetricData", jsii.String("*"))
	return f
}
