package main

import (
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"onlineshop/es"
	"onlineshop/platform/aws/wiring"
)

// shelf is a bucket whose objects stay, made once for all tasks of the plugin that declare
// it. Its construct id is a storage contract.
func (s *shop) shelf(p *plugin, name string) awss3.Bucket {
	output := wiring.ShelfOutput(p.Name, name)
	id := p.Name + "Shelf" + strings.TrimPrefix(output, "Shelf"+p.Name)
	if b, ok := s.stack.Node().TryFindChild(jsii.String(id)).(awss3.Bucket); ok {
		return b
	}
	b := s.bucket(id, awss3.HttpMethods_GET)
	s.output(output, b.BucketName(), "The bucket "+name+" of "+p.Name)
	return b
}

// shelves are the names of the task's buckets whose objects stay.
func (s *shop) shelves(p *plugin, t es.Task) map[string]string {
	out := map[string]string{}
	for _, b := range t.Buckets {
		out[b.Name] = *s.shelf(p, b.Name).BucketName()
	}
	return out
}

// usesShelves gives the function the rights on its task's buckets that it declares, and has
// it called when their objects change. It is told by EventBridge: a bucket that calls the
// function itself would wait for it, and could not be named to it.
func (s *shop) usesShelves(p *plugin, t es.Task, f *function) {
	for _, b := range t.Buckets {
		bucket := s.shelf(p, b.Name)
		if b.Reads() {
			f.allow("s3:GetObject", inBucket(bucket.BucketArn(), "*"))
			f.allow("s3:ListBucket", bucket.BucketArn()) // or an object that is gone would be a forbidden one
		}
		if b.Write {
			f.allow("s3:PutObject", inBucket(bucket.BucketArn(), "*"))
		}
		if !b.Watched() {
			continue
		}
		bucket.Node().DefaultChild().(awss3.CfnBucket).SetNotificationConfiguration(&awss3.CfnBucket_NotificationConfigurationProperty{
			EventBridgeConfiguration: &awss3.CfnBucket_EventBridgeConfigurationProperty{EventBridgeEnabled: jsii.Bool(true)},
		})
		var types []string
		if b.OnCreated != nil {
			types = append(types, wiring.ObjectCreated)
		}
		if b.OnRemoved != nil {
			types = append(types, wiring.ObjectDeleted)
		}
		awsevents.NewRule(s.stack, jsii.String(*bucket.Node().Id()+"Rule"), &awsevents.RuleProps{
			Description: jsii.String("What changes in " + b.Name + " sets off " + f.name),
			EventPattern: &awsevents.EventPattern{
				Source: jsii.Strings(wiring.ObjectSource), DetailType: jsii.Strings(types...),
				Detail: &map[string]any{"bucket": map[string]any{"name": []*string{bucket.BucketName()}}},
			},
			Targets: &[]awsevents.IRuleTarget{awseventstargets.NewLambdaFunction(f.Function, nil)},
		})
	}
}

// watches reports whether changes of objects set the task off.
func watches(t es.Task) bool {
	return t.Bucket != "" || slices.ContainsFunc(t.Buckets, es.Bucket.Watched)
}
