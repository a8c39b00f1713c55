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
			Plugins: map[string]wiring.PluginWiring{p.Name: {
				Events: *p.events.TableName(), Cursors: *p.cursors.TableName(), Parked: *p.parked.TableName(), Keys: p.keysTable(),
			}},
			Rows: p.tables(),
		},
	})
	p.projector.streams(p.events)
	p.projector.projects(p)
	p.projector.allowIf("ForAllValues:StringEquals", "dynamodb:LeadingKeys", []string{wiring.LagKey}, noteLag, p.cursors.TableArn())

	eventMapping := wiring.PluginWiring{
		Events: *p.events.TableName(), Cursors: *p.cursors.TableName(), Parked: *p.parked.TableName(), Keys: p.keysTable(),
	}
	reports := ""
	if p.keys != nil { // what is made of those who are erased goes, too
		eventMapping.Snapshots, reports = *p.snapshots.TableName(), *s.reports.BucketName()
	}
	p.eventMapping = s.function(p.Name+"EventMapping", functionSpec{
		kind: "eventmapping", about: "Tells followers of " + p.Name + "'s events, and does its operations",
		timeout: eventMappingTimeout, memory: 512,
		env: map[string]string{wiring.Plugin: p.Name, wiring.Version: s.version},
		wiring: wiring.Wiring{
			Plugins: map[string]wiring.PluginWiring{p.Name: eventMapping},
			Rows:    p.tables(), Inboxes: p.queues(), Bus: *s.bus.EventBusName(), Reports: reports,
		},
	})
	f := p.eventMapping
	f.streams(p.events)
	f.projects(p) // a sweep and a rebuild fold rows too
	f.allow(listStreams, p.events.TableArn())
	f.allow(moveCursor, p.cursors.TableArn())
	if f.allowKeys(p, destroyKey); p.keys != nil {
		f.allow(unsnapshot, p.snapshots.TableArn())
		s.mayForget(f, p) // with a sender, too: what was kept before there was one
	}
	if len(p.Mappings) > 0 || p.inboxOf(p.Name) != nil { // which begin when they are new
		f.allow("dynamodb:Scan", p.cursors.TableArn()) // once: which followers were here before starts were kept
	}
	f.allowIf("ForAllValues:StringEquals", "dynamodb:LeadingKeys", []string{wiring.HeartbeatKey}, "dynamodb:PutItem", p.cursors.TableArn())
	f.allow(queryRows, indexOf(p.cursors, wiring.Consumer)) // hints that wait until they are due
	if len(p.Mappings) > 0 {                                // nothing else has delays
		f.allowIf("ForAllValues:StringLike", "dynamodb:LeadingKeys", []string{wiring.DuePrefix + "*"}, "dynamodb:DeleteItem", p.cursors.TableArn())
	}
	f.allow(listParked+" "+readParked+" "+unpark, p.parked.TableArn())
	f.allowIf("StringEquals", "events:source", []string{p.Name}, "events:PutEvents", s.bus.EventBusArn()) // as no other plugin
	for _, in := range p.inboxes {
		if p.hinted(in) {
			f.sends(in)
		} else {
			f.allow("sqs:SendMessage", in.bulk.QueueArn()) // sweeps and redrives: what is live comes over the bus
		}
	}
	s.ownsItsSource(p)
	s.schedule(p, wiring.Operation{Do: wiring.DoTick})
}

// hinted says whether the plugin's own commits concern followers of that inbox.
func (p *plugin) hinted(in *inbox) bool {
	return in.of == p.Name || slices.ContainsFunc(p.Mappings, func(m es.Mapping) bool { return m.Target == in.of })
}

// projects lets the function fold the plugin's rows.
func (f *function) projects(p *plugin) {
	f.allow(readLog, p.events.TableArn())
	f.allowKeys(p, readKey)
	f.allowKeys(p, makeKey) // of subjects from before what is personal was sealed
	f.allow(park, p.parked.TableArn())
	for _, r := range p.rows {
		may := readRow + " " + writeRow
		if r.kind == es.ViewItems { // all rows of a stream may be deleted; a keyed view's head names its parts
			may += " " + queryRows
		}
		if r.removes {
			may += " " + removeRow
		}
		f.allow(may, r.table.TableArn())
	}
}

// tables are the names of the plugin's read models' tables.
func (p *plugin) tables() map[string]string { return declared{rows: p.rows}.tables() }

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
		own := wiring.PluginWiring{Events: *p.events.TableName(), Snapshots: *p.snapshots.TableName(), Keys: p.keysTable()}
		w := wiring.Wiring{Plugins: map[string]wiring.PluginWiring{}}
		if in != nil {
			own.Cursors, own.Parked = *p.cursors.TableName(), *p.parked.TableName()
			w.Inboxes = in.urls()
		}
		w.Plugins[p.Name] = own
		publishers := s.heard(p, d.Name)
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
		decides := append(p.reactions(d.Name), d.Name)
		f.appends(p, decides...)
		f.allow(readLog, p.events.TableArn())
		f.allow(restore+" "+snapshot, p.snapshots.TableArn())
		if f.allowKeys(p, readKey); slices.ContainsFunc(decides, p.isPersonal) {
			f.allowKeys(p, makeKey)
		}
		if in != nil {
			f.reads(in)
			f.follows(p)
			f.allowIf("ForAllValues:StringLike", "dynamodb:LeadingKeys", streamKeys(decides), hasNoCommit, p.events.TableArn())
			if slices.ContainsFunc(decides, p.looksAround) {
				f.allow(unrejected, p.cursors.TableArn())
			}
			if p.hinted(in) {
				f.sends(in) // to itself, what is not due yet
			}
		}
		for _, name := range publishers {
			f.allow(invoke, s.pluginNamed(name).published())
		}
		p.commands = append(p.commands, &command{f, d})
	}
}

// isPersonal says whether the aggregate has personal data.
func (p *plugin) isPersonal(aggregate string) bool {
	return slices.ContainsFunc(p.Aggregates, func(a es.AnyAggregate) bool {
		d := a.Definition()
		return d.Name == aggregate && d.Personal()
	})
}

// reactions are the aggregates that get commands where one of the aggregate refuses one.
func (p *plugin) reactions(aggregate string) (targets []string) {
	note := func(target string, r *es.Reaction) {
		if r != nil && target == aggregate && r.Target != aggregate && !slices.Contains(targets, r.Target) {
			targets = append(targets, r.Target)
		}
	}
	for _, m := range p.Mappings {
		note(m.Target, m.Rejected)
	}
	for _, x := range p.Extensions {
		note(x.Target, x.Rejected)
	}
	return targets
}

// looksAround says whether the aggregate may decide by more than its state and the command.
// Such a command of a follower is appended unless a rejection of it is kept: judged twice,
// it might be decided both ways.
func (p *plugin) looksAround(aggregate string) bool {
	return slices.ContainsFunc(p.Aggregates, func(a es.AnyAggregate) bool {
		d := a.Definition()
		return d.Name == aggregate && (d.Check != nil || d.ByMeta)
	})
}

// follows lets the function keep places in the plugin's streams, and park.
func (f *function) follows(p *plugin) {
	f.allow(moveCursor, p.cursors.TableArn())
	f.allow(park+" "+readParked+" "+unpark, p.parked.TableArn())
}

// heard are the plugins whose publications, or requests, reach the aggregate.
func (s *shop) heard(p *plugin, aggregate string) (publishers []string) {
	for _, x := range p.Extensions {
		switch {
		case x.Target != aggregate:
		case x.Accepts:
			for _, point := range s.asked(x) {
				publishers = append(publishers, naming.Plugin(point))
			}
		default:
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
		Parked: *p.parked.TableName(), Snapshots: *p.snapshots.TableName(), Keys: p.keysTable(),
	}}}
	reads := p.declared(p.effectReads())
	w.Rows = reads.tables()
	if p.boundary != nil {
		w.Inboxes = in.urls()
	}
	for _, name := range p.heardPlugins() {
		publisher := w.Plugins[name] // a plugin may listen to itself
		publisher.EventMapping = *s.pluginNamed(name).published()
		w.Plugins[name] = publisher
	}
	if s.emailFrom == "" {
		w.Reports = *s.reports.BucketName()
	}
	f := s.function(p.Name+"Notifications", functionSpec{
		kind: "notifications", about: "Runs " + p.Name + "'s side effects",
		timeout: effectTimeout, memory: 256, env: s.sender(map[string]string{wiring.Plugin: p.Name}), wiring: w,
	})
	f.reads(in)
	f.follows(p)
	f.allow(readLog, p.events.TableArn())
	f.allow(restore, p.snapshots.TableArn())
	f.allowKeys(p, readKey)
	f.readsDeclared(p, reads)
	f.listens(s, p)
	if s.maySend(f); p.keys != nil && s.emailFrom == "" {
		f.allow("s3:PutObject", inBucket(s.reports.BucketArn(), wiring.AboutPlugin(p.Name)+"*"))
		s.mayForget(f, p) // whom it had something kept of when they were erased already
	}
}

// mayForget lets the function remove kept e-mails about the plugin's subjects, with all
// their versions.
func (s *shop) mayForget(f *function, p *plugin) {
	f.allowIf("StringLike", "s3:prefix", []string{wiring.AboutPlugin(p.Name) + "*"}, "s3:ListBucket", s.reports.BucketArn())
	f.allowIf("StringLike", "s3:prefix", []string{wiring.EmailPrefix + "*"}, "s3:ListBucketVersions", s.reports.BucketArn())
	f.allow("s3:DeleteObjectVersion", inBucket(s.reports.BucketArn(), wiring.EmailPrefix+"*"))
}

// sender returns the environment with the sender of e-mails in it, if one is set.
func (s *shop) sender(env map[string]string) map[string]string {
	if s.emailFrom != "" {
		env[wiring.EmailFrom] = s.emailFrom
	}
	return env
}

// maySend lets the function send e-mail as the configured sender alone, or keep it if
// there is none. Which identities SES asks for is not known before: the address's, its
// domain's or that domain's parent's, whichever is verified, and in the sandbox the
// recipient's, too.
func (s *shop) maySend(f *function) {
	if s.emailFrom == "" {
		f.allow("s3:PutObject", inBucket(s.reports.BucketArn(), wiring.EmailPrefix+"*"))
		return
	}
	from, err := mail.ParseAddress(s.emailFrom)
	if err != nil {
		panic(err) // checked with the settings
	}
	f.allowIf("StringEquals", "ses:FromAddress", []string{from.Address}, "ses:SendEmail ses:SendRawEmail",
		s.stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("ses"), Resource: jsii.String("identity"), ResourceName: jsii.String("*"),
		}))
}

// tasks makes the function of each of the plugin's tasks that has buckets or schedules,
// and what sets it off: what changes in the buckets, or the minutes.
func (s *shop) tasks(p *plugin) {
	for _, t := range p.Tasks {
		if !t.Works() {
			continue
		}
		name, reads := p.Name+t.Name, p.declared(t.Reads)
		env := map[string]string{wiring.Task: naming.Full(p.Name, t.Name)}
		if t.Mails {
			s.sender(env)
		}
		f := s.function(name, functionSpec{
			kind: s.taskKind(t), about: t.Name + " of " + p.Name + ": works on what is put into its bucket, or on its schedules",
			timeout: s.importTimeout, memory: 1024, selfInvoking: watches(t),
			env: env,
			wiring: wiring.Wiring{
				Plugins: map[string]wiring.PluginWiring{p.Name: {Events: *p.events.TableName(), Cursors: *p.cursors.TableName(), Snapshots: *p.snapshots.TableName(), Keys: p.keysTable()}},
				Rows:    reads.tables(),
				Reports: *s.reports.BucketName(),
				Shelves: s.shelves(p, t),
			},
		})
		if sends := targets(p, t); len(sends) > 0 {
			f.appends(p, sends...)
			f.allow(snapshot, p.snapshots.TableArn())
			if slices.ContainsFunc(sends, p.isPersonal) {
				f.allowKeys(p, makeKey)
			}
		}
		f.allowKeys(p, readKey)
		f.readsDeclared(p, reads)
		f.allow("dynamodb:GetItem", p.cursors.TableArn()) // how far the stream is behind
		f.allow(readLog, p.events.TableArn())
		f.allow(restore, p.snapshots.TableArn())
		f.allow("s3:PutObject", inBucket(s.reports.BucketArn(), wiring.ReportPrefix+"*"))
		if t.Mails {
			s.maySend(f)
		}
		if len(t.Schedules) > 0 {
			f.allowIf("ForAllValues:StringLike", "dynamodb:LeadingKeys", []string{wiring.SchedulePrefix + "*"}, "dynamodb:UpdateItem", p.cursors.TableArn())
			s.everyMinute(name+"Schedules", "Has "+name+" run what is due of its schedules", f, wiring.Operation{Do: wiring.DoTick})
		}
		if watches(t) {
			f.allowSelfInvoke(s)
		}
		if t.Bucket != "" {
			s.notify(p, t, f)
		}
		s.usesShelves(p, t, f)
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
	bucket := s.bucket(p.Name+t.Name+"Bucket", awss3.HttpMethods_PUT)
	s.buckets[naming.Full(p.Name, t.Name)] = bucket
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
// descriptions, and operations, which it has the plugins do. It also serves the page,
// whose users sign in at login, if that is not their provider's own address.
func (s *shop) queryFunction(identity map[string]string, login string) *function {
	w := wiring.Wiring{
		Plugins: map[string]wiring.PluginWiring{}, Rows: map[string]string{}, Inboxes: map[string]string{},
		Reports: *s.reports.BucketName(), Buckets: map[string]string{},
	}
	for task, bucket := range s.buckets {
		w.Buckets[task] = *bucket.BucketName()
	}
	env := map[string]string{wiring.Version: s.version, wiring.Currency: s.currency}
	if s.name != "" {
		env[wiring.Name] = s.name
	}
	if login != "" {
		env[wiring.LoginURL] = login
	}
	maps.Copy(env, identity)
	for _, p := range s.plugins {
		w.Plugins[p.Name] = wiring.PluginWiring{
			Events: *p.events.TableName(), Cursors: *p.cursors.TableName(), Parked: *p.parked.TableName(), Keys: p.keysTable(),
			EventMapping: *p.eventMapping.FunctionName(), Projector: *p.projector.FunctionName(),
		}
		maps.Copy(w.Rows, p.tables())
		for _, in := range p.inboxes { // for /health, which tells how long they keep hints waiting
			for name, q := range in.queues() {
				w.Inboxes[name] = *q.QueueName()
			}
		}
		name := naming.UIBundleVariable(p.Name)
		if url := os.Getenv(name); url != "" {
			env[name] = url
		}
	}
	if s.room(s.variables(w, env)) > wiring.MaxVariables {
		w = w.Short()
	}
	f := s.function("Query", functionSpec{
		kind: "query", about: "Answers queries, and passes operations on",
		timeout: queryTimeout, memory: 512, env: env, wiring: w,
	})
	for i, p := range s.plugins {
		if w.Rest {
			f.allow("lambda:GetFunctionConfiguration", p.eventMapping.FunctionArn())
		}
		f.allow(readLog+" "+listStreams, p.events.TableArn())
		f.allow("dynamodb:GetItem", p.cursors.TableArn()) // heartbeats, and rejections
		if i == 0 {
			f.allowIf("ForAllValues:StringEquals", "dynamodb:LeadingKeys", []string{wiring.CursorKey}, "dynamodb:UpdateItem", p.cursors.TableArn())
		}
		f.allow(listParked+" dynamodb:GetItem", p.parked.TableArn())
		f.allow(queryRows, indexOf(p.cursors, wiring.Consumer)) // of rejections
		f.allow(invoke, p.eventMapping.FunctionArn())
		f.allowKeys(p, readKey)
		for _, r := range p.rows {
			may := readRow // of rows below an id: the head
			if r.kind != es.ViewKeyed {
				may += " " + listRows
			}
			if r.kind != es.ViewRows {
				may += " " + queryRows
			}
			f.allow(may, r.table.TableArn())
			if len(r.indexes) > 0 {
				f.allow(queryRows, r.indexes...)
			}
		}
	}
	for _, task := range slices.Sorted(maps.Keys(s.buckets)) {
		f.allow("s3:PutObject", inBucket(s.buckets[task].BucketArn(), "*")) // by the addresses that it signs
	}
	f.allow("s3:GetObject", inBucket(s.reports.BucketArn(), wiring.ReportPrefix+"*"))
	f.allow("s3:ListBucket", s.reports.BucketArn()) // or a report that is not there would be a forbidden one
	f.allow("cloudwatch:GetMetricData", jsii.String("*"))
	return f
}
