package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/jsii-runtime-go"

	"onlineshop/platform/aws/wiring"
)

// watcher makes the alarms, all of which tell one topic.
type watcher struct {
	stack awscdk.Stack
	tell  awscloudwatch.IAlarmAction
}

// alarms makes the alarms and the dashboard.
func (s *shop) alarms(api awsapigateway.RestApi) {
	w := watcher{s.stack, awscloudwatchactions.NewSnsAction(s.topic())}
	five := &awscloudwatch.MetricOptions{Period: awscdk.Duration_Minutes(jsii.Number(5)), Statistic: jsii.String("Sum")}
	oldest := &awscloudwatch.MetricOptions{Period: five.Period, Statistic: jsii.String("Maximum")}
	var errors, throttles, durations, ages, parked, failed, dead, waiting []awscloudwatch.IMetric

	for _, f := range s.all {
		errors, throttles = append(errors, f.MetricErrors(five)), append(throttles, f.MetricThrottles(five))
		durations = append(durations, f.MetricDuration(&awscloudwatch.MetricOptions{Period: five.Period, Statistic: jsii.String("p99")}))
		w.alarm(f.name+"Errors", f.MetricErrors(five), 1, f.name+" failed: its log says why")
		w.alarm(f.name+"Throttles", f.MetricThrottles(five), 1, f.name+" was held back: the account's concurrency is used up")
		if f.reader {
			age := f.Metric(jsii.String("IteratorAge"), oldest)
			ages = append(ages, age)
			w.alarm(f.name+"Age", age, float64((5 * time.Minute).Milliseconds()), f.name+" is more than 5 minutes behind the log")
		}
	}
	for _, q := range s.dead {
		m := q.queue.MetricApproximateNumberOfMessagesVisible(oldest)
		dead = append(dead, m)
		w.alarm(q.name, m, 1, "Given up: "+q.of+". Nothing is lost: mend the cause, then redrive the queue or sweep")
	}
	for _, p := range s.plugins {
		of := func(name, statistic string) awscloudwatch.Metric {
			return pluginMetric(p.Name, name, statistic, five.Period)
		}
		parked = append(parked, of(wiring.MetricParkedKeys, "Maximum"))
		failed = append(failed, of(wiring.MetricSideEffectFailed, "Sum"), of(wiring.MetricTaskFailed, "Sum"))
		for _, in := range p.inboxes {
			for _, name := range slices.Sorted(maps.Keys(in.queues())) {
				waiting = append(waiting, in.queues()[name].MetricApproximateAgeOfOldestMessage(oldest))
			}
		}
		if p.boundary != nil {
			waiting = append(waiting, p.boundary.queue.MetricApproximateAgeOfOldestMessage(oldest))
		}
		w.alarm(p.Name+"ParkedKeys", of(wiring.MetricParkedKeys, "Maximum"), 1, "Some of "+p.Name+"'s streams are parked: see shop parked")
		w.alarm(p.Name+"SideEffectFailed", of(wiring.MetricSideEffectFailed, "Sum"), 1, "A side effect of "+p.Name+" failed, and is not tried again: the log of "+p.Name+"Notifications says why")
		w.alarm(p.Name+"TaskFailed", of(wiring.MetricTaskFailed, "Sum"), 1, "A task of "+p.Name+" failed: its function's log says why")
		w.alarm(p.Name+"ClockBehind", of(wiring.MetricClockBehind, "Sum"), 1, p.Name+" has a commit that is ahead of the clock")
		w.alarm(p.Name+"StreamDamaged", of(wiring.MetricStreamDamaged, "Sum"), 1, "Some of "+p.Name+"'s log is not what was written: shop verify lists it, and a restore mends it")
		w.beats(p)
	}
	refused := api.MetricServerError(five)
	w.alarm("ApiErrors", refused, 5, "The API answered with 5xx several times in 5 minutes")

	graph := func(title string, lines ...awscloudwatch.IMetric) awscloudwatch.IWidget {
		return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{Title: jsii.String(title), Left: &lines, Width: jsii.Number(8)})
	}
	awscloudwatch.NewDashboard(s.stack, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		Widgets: &[]*[]awscloudwatch.IWidget{
			{
				graph("Requests", api.MetricCount(five), api.MetricClientError(five), refused),
				graph("Answer time", api.MetricLatency(&awscloudwatch.MetricOptions{Statistic: jsii.String("p50")}), api.MetricLatency(&awscloudwatch.MetricOptions{Statistic: jsii.String("p99")})),
				graph("Functions' time, p99", durations...),
			},
			{graph("Behind the log", ages...), graph("Oldest hint", waiting...), graph("Given up", dead...)},
			{graph("Parked keys", parked...), graph("Failed side effects and tasks", failed...), graph("Errors and throttles", append(errors, throttles...)...)},
		},
	})
}

func pluginMetric(plugin, name, statistic string, period awscdk.Duration) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(wiring.MetricNamespace), MetricName: jsii.String(name),
		DimensionsMap: &map[string]*string{wiring.DimensionPlugin: jsii.String(plugin)},
		Statistic:     jsii.String(statistic), Period: period,
	})
}

// alarm tells when the metric reaches the threshold in one period.
func (w watcher) alarm(name string, m awscloudwatch.IMetric, threshold float64, about string) {
	w.add(name, &awscloudwatch.AlarmProps{
		Metric: m, Threshold: jsii.Number(threshold), AlarmDescription: jsii.String(about), EvaluationPeriods: jsii.Number(1),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	})
}

// beats tells when the plugin missed three heartbeats, where it has any.
func (w watcher) beats(p *plugin) {
	if p.HeartbeatInterval <= 0 {
		return
	}
	pace := awscdk.Duration_Minutes(jsii.Number(math.Ceil(p.HeartbeatInterval.Minutes()))) // a period is of whole minutes
	w.add(p.Name+"Heartbeat", &awscloudwatch.AlarmProps{
		Metric:             pluginMetric(p.Name, wiring.MetricHeartbeat, "Sum", pace),
		AlarmDescription:   jsii.String(fmt.Sprintf("%s has not reported itself for three times %s: its event mapping function does not run", p.Name, p.HeartbeatInterval)),
		Threshold:          jsii.Number(1),
		EvaluationPeriods:  jsii.Number(3),
		ComparisonOperator: awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD,
		TreatMissingData:   awscloudwatch.TreatMissingData_BREACHING,
	})
}

func (w watcher) add(name string, props *awscloudwatch.AlarmProps) {
	a := awscloudwatch.NewAlarm(w.stack, jsii.String(name+"Alarm"), props)
	a.AddAlarmAction(w.tell)
	a.AddOkAction(w.tell)
}

// topic is where alarms go. It has a key of its own, since CloudWatch can't use
// the one that AWS keeps for SNS.
func (s *shop) topic() awssns.Topic {
	key := awskms.NewKey(s.stack, jsii.String("AlarmKey"), &awskms.KeyProps{
		Description:       jsii.String("Encrypts the shop's alarms"),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     awscdk.RemovalPolicy_DESTROY,
	})
	topic := awssns.NewTopic(s.stack, jsii.String("Alarms"), &awssns.TopicProps{MasterKey: key, EnforceSSL: jsii.Bool(true)})
	cloudWatch := func(actions string, resource *string) awsiam.PolicyStatement {
		p := statement(actions, &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": s.stack.Account()}}, []*string{resource})
		p.AddPrincipals(awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil))
		return p
	}
	key.AddToResourcePolicy(cloudWatch("kms:Decrypt kms:GenerateDataKey*", jsii.String("*")), nil)
	topic.AddToResourcePolicy(cloudWatch("sns:Publish", topic.TopicArn()))
	if s.alarmEmail != "" {
		topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(jsii.String(s.alarmEmail), nil))
	}
	s.output("AlarmTopic", topic.TopicArn(), "Topic that tells of alarms: subscribe to it")
	return topic
}
