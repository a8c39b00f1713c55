package main

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"onlineshop/es"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// rows is a read model's table.
type rows struct {
	model   string // "Catalog.Products"
	kind    es.ViewKind
	removes bool // rows below its ids
	table   awsdynamodb.Table
	indexes []*string // their ARNs
	owners  *string   // ARN of the one by owner, which the page's users list by; nil: none
}

// data makes what holds a plugin's data. The construct ids are a storage
// contract: under another id it would be another, empty table.
func (s *shop) data(p es.Plugin) *plugin {
	key := attribute(wiring.Key, awsdynamodb.AttributeType_STRING)
	out := &plugin{
		Plugin: p,
		events: s.table(p.Name+"Events", &awsdynamodb.TableProps{
			PartitionKey: attribute(wiring.Stream, awsdynamodb.AttributeType_STRING),
			SortKey:      attribute(wiring.Seq, awsdynamodb.AttributeType_NUMBER),
			Stream:       awsdynamodb.StreamViewType_NEW_IMAGE,
		}),
		cursors: s.table(p.Name+"Cursors", &awsdynamodb.TableProps{PartitionKey: key, TimeToLiveAttribute: jsii.String(wiring.Expires)}),
		parked: s.table(p.Name+"Parked", &awsdynamodb.TableProps{
			PartitionKey: attribute(wiring.Consumer, awsdynamodb.AttributeType_STRING),
			SortKey:      attribute(wiring.Stream, awsdynamodb.AttributeType_STRING),
		}),
		snapshots: s.table(p.Name+"Snapshots", &awsdynamodb.TableProps{PartitionKey: key}),
	}
	if personal(p) {
		out.keys = s.table(p.Name+"Keys", &awsdynamodb.TableProps{
			PartitionKey: key, Encryption: awsdynamodb.TableEncryption_AWS_MANAGED,
			PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
				PointInTimeRecoveryEnabled: jsii.Bool(true), RecoveryPeriodInDays: jsii.Number(s.keyRecovery),
			},
		})
	}
	out.cursors.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:    jsii.String(wiring.Consumer),
		PartitionKey: attribute(wiring.Consumer, awsdynamodb.AttributeType_STRING),
		SortKey:      attribute(wiring.Order, awsdynamodb.AttributeType_STRING),
	})
	for _, m := range p.ReadModels {
		d := m.Definition()
		keyed := &awsdynamodb.TableProps{PartitionKey: key}
		if d.Kind != es.ViewRows {
			keyed.SortKey = attribute(wiring.Sub, awsdynamodb.AttributeType_STRING)
		}
		r := rows{
			table: s.table(p.Name+m.Name()+"Rows", keyed),
			model: naming.Full(p.Name, m.Name()), kind: d.Kind,
			// Totals are only added to; it is the entries of a first or last value that go.
			removes: d.Kind == es.ViewItems || slices.ContainsFunc(d.Merges, func(m es.Merge) bool { return m.How != es.MergeSum }),
		}
		index := func(name string) {
			r.table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
				IndexName:    jsii.String(name),
				PartitionKey: attribute(name, awsdynamodb.AttributeType_STRING),
				SortKey:      key,
			})
			r.indexes = append(r.indexes, indexOf(r.table, name))
		}
		for _, field := range d.Indexes {
			index(wiring.Index(field))
		}
		if d.Access.Owner {
			index(wiring.Owner)
			r.owners = r.indexes[len(r.indexes)-1]
		}
		for _, field := range d.Sorts {
			name := wiring.Sort(field)
			if slices.Contains(s.later, r.model+"."+name) {
				continue
			}
			r.table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
				IndexName:    jsii.String(name),
				PartitionKey: attribute(wiring.Shard, awsdynamodb.AttributeType_STRING),
				SortKey:      attribute(name, awsdynamodb.AttributeType_STRING),
			})
			r.indexes = append(r.indexes, indexOf(r.table, name))
		}
		if d.Kind == es.ViewKeyed {
			r.table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
				IndexName:      jsii.String(wiring.Keys),
				PartitionKey:   attribute(wiring.Shard, awsdynamodb.AttributeType_STRING),
				SortKey:        key,
				ProjectionType: awsdynamodb.ProjectionType_KEYS_ONLY,
			})
			r.indexes = append(r.indexes, indexOf(r.table, wiring.Keys))
		}
		out.rows = append(out.rows, r)
	}
	targets := map[string]bool{}
	for _, m := range p.Mappings {
		targets[m.Target] = true
	}
	for _, x := range p.Extensions {
		targets[x.Target] = true
	}
	for _, a := range p.Aggregates {
		if name := a.Definition().Name; targets[name] {
			out.inboxes = append(out.inboxes, s.inbox(name, standard, commandTimeout))
		}
	}
	if slices.ContainsFunc(p.Tasks, func(t es.Task) bool { return len(t.SideEffects) > 0 }) {
		out.inboxes = append(out.inboxes, s.inbox(p.Name, fifo, effectTimeout))
	}
	if len(out.hears()) > 0 {
		out.boundary = s.hearing(out)
	}
	return out
}

// personal says whether aggregates of the plugin have personal data.
func personal(p es.Plugin) bool {
	return slices.ContainsFunc(p.Aggregates, func(a es.AnyAggregate) bool { return a.Definition().Personal() })
}

// keysTable is the name of the table of keys; "" where there is none.
func (p *plugin) keysTable() string {
	if p.keys == nil {
		return ""
	}
	return *p.keys.TableName()
}

// allowKeys is allow for the plugin's keys, if it has some.
func (f *function) allowKeys(p *plugin, actions string) {
	if p.keys != nil {
		f.allow(actions, p.keys.TableArn())
	}
}

// indexOf is the ARN of a table's index.
func indexOf(t awsdynamodb.Table, name string) *string {
	return awscdk.Fn_Join(jsii.String(""), &[]*string{t.TableArn(), jsii.String("/index/" + name)})
}

func attribute(name string, typ awsdynamodb.AttributeType) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: jsii.String(name), Type: typ}
}

// table makes one that is paid for by use, can be restored to any second of the
// past 35 days if nothing else is said, and is not deleted by mistake.
func (s *shop) table(id string, t *awsdynamodb.TableProps) awsdynamodb.Table {
	t.BillingMode = awsdynamodb.BillingMode_PAY_PER_REQUEST
	if t.PointInTimeRecoverySpecification == nil {
		t.PointInTimeRecoverySpecification = &awsdynamodb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: jsii.Bool(true)}
	}
	t.DeletionProtection = jsii.Bool(!s.destroy)
	t.RemovalPolicy = s.removal()
	return awsdynamodb.NewTable(s.stack, jsii.String(id), t)
}

// bucket makes a private one. The shop's page may use addresses that are signed for that
// method, and no other page.
func (s *shop) bucket(id string, method awss3.HttpMethods) awss3.Bucket {
	return awss3.NewBucket(s.stack, jsii.String(id), &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		EnforceSSL:        jsii.Bool(true),
		RemovalPolicy:     s.removal(),
		Cors: &[]*awss3.CorsRule{{
			AllowedMethods: &[]awss3.HttpMethods{method}, AllowedOrigins: jsii.Strings(s.origin()), AllowedHeaders: jsii.Strings("*"),
		}},
		LifecycleRules: &[]*awss3.LifecycleRule{{
			AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(7)),
		}},
	})
}
