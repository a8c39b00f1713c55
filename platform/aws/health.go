package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// beat reports the plugin: an event on the bus, a mark in its table, a metric.
func (p *Platform) beat(ctx context.Context, plugin string) error {
	now := p.clock.Now()
	detail, err := json.Marshal(map[string]any{"plugin": plugin, "time": es.FormatTime(now), "version": p.Version})
	if err != nil {
		return err
	}
	b := (*bus)(p)
	if err := b.put(ctx, b.request(plugin, wiring.HeartbeatType, detail, now)); err != nil {
		return fmt.Errorf("heartbeat of %s: %w", plugin, err)
	}
	table, err := p.store.cursors(plugin)
	if err != nil {
		return err
	}
	_, err = p.store.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: item{
		wiring.Key: str(wiring.HeartbeatKey), attrTime: str(es.FormatTime(now)),
	}})
	if err != nil {
		return fmt.Errorf("heartbeat of %s: %w", plugin, failure(err))
	}
	p.metric(wiring.MetricHeartbeat, plugin, 1)
	return nil
}

// beatWhenDue reports the plugin at its own pace, whatever the schedule's.
func (p *Platform) beatWhenDue(ctx context.Context, plugin string) error {
	last, err := p.store.lastBeat(ctx, plugin)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(p.Plugins, func(x es.Plugin) bool { return x.Name == plugin })
	const early = 30 * time.Second // the schedule's next turn would be too late
	if interval := p.Plugins[i].HeartbeatInterval; interval <= 0 || p.clock.Now().Sub(last) < interval-early {
		return nil
	}
	return p.beat(ctx, plugin)
}

// lastBeat is when the plugin reported itself; zero: never.
func (s *store) lastBeat(ctx context.Context, plugin string) (time.Time, error) {
	table, err := s.cursors(plugin)
	if err != nil {
		return time.Time{}, err
	}
	i, err := s.get(ctx, table, item{wiring.Key: str(wiring.HeartbeatKey)})
	if err != nil || i == nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, text(i, attrTime))
}

// countParked counts a plugin's parked keys by consumer, up to a megabyte of
// them: that many are as alarming as more.
func (s *store) countParked(ctx context.Context, plugin string) (map[string]int, error) {
	table, err := s.parked(plugin)
	if err != nil {
		return nil, err
	}
	out, err := s.db.Scan(ctx, &dynamodb.ScanInput{
		TableName: table, ProjectionExpression: awssdk.String("#c"), ExpressionAttributeNames: map[string]string{"#c": wiring.Consumer},
	})
	if err != nil {
		return nil, failure(err)
	}
	counts := map[string]int{}
	for _, i := range out.Items {
		counts[text(i, wiring.Consumer)]++
	}
	return counts, nil
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// healthCache keeps an answer for a while: /health is open to everybody, and
// CloudWatch charges for what it is asked.
type healthCache struct {
	sync.Mutex
	engine.Health
	until time.Time
}

// healthTTL is how long an answer of Health holds.
const healthTTL = 20 * time.Second

// Health is what the platform knows about itself: heartbeats and parked keys
// from the plugins' tables, lags from CloudWatch, which is a minute or two
// behind. Where CloudWatch has no figure, nothing was waiting in the latest
// minutes, and the lag is 0.
func (p *Platform) Health(ctx context.Context) (engine.Health, error) {
	p.healthy.Lock()
	defer p.healthy.Unlock()
	now := p.clock.Now()
	if now.Before(p.healthy.until) {
		return p.healthy.Health, nil
	}
	h, err := p.collectHealth(ctx, now)
	if err != nil {
		return h, fmt.Errorf("collect health: %w", err)
	}
	p.healthy.Health, p.healthy.until = h, now.Add(healthTTL)
	return h, nil
}

func (p *Platform) collectHealth(ctx context.Context, now time.Time) (engine.Health, error) {
	lags, err1 := p.lags(ctx, now)
	failures, err2 := p.failures(ctx, now)
	if err := errors.Join(err1, err2); err != nil {
		p.log.WarnContext(ctx, "lags and failures are not known: CloudWatch does not answer", "error", err)
	}
	heard, parked, rejected := map[string]time.Time{}, map[string]int{}, map[string]int{}
	refolded := map[string]engine.Refolded{}
	var problems []engine.Problem
	for _, x := range p.Plugins {
		last, err1 := p.store.lastBeat(ctx, x.Name)
		of, err2 := p.store.countParked(ctx, x.Name)
		if err := errors.Join(err1, err2); err != nil {
			return engine.Health{}, err
		}
		outdated, far, err := p.outdated(ctx, x.Name)
		if err != nil {
			return engine.Health{}, err
		}
		problems = append(problems, outdated...)
		heard[x.Name] = last
		maps.Copy(parked, of)
		maps.Copy(refolded, far)
	}
	for _, name := range p.engine.Consumers() {
		var err error
		if rejected[name], err = p.engine.RecentRejections(ctx, name); err != nil {
			return engine.Health{}, err
		}
	}
	late, err := p.engine.ScheduleProblems(ctx)
	if err != nil {
		return engine.Health{}, err
	}
	problems = append(problems, late...)
	return p.engine.Health(p.Version, now, problems, heard, func(c *engine.ConsumerHealth) {
		for _, w := range p.lagMetrics(c.Name) {
			c.LagSeconds = max(c.LagSeconds, lags[w].Seconds())
		}
		c.Parked, c.Failed, c.Rejected = parked[c.Name], failures[c.Name], rejected[c.Name]
		id := engine.ParseConsumer(c.Name)
		if far, stale := refolded[id.Name]; stale && id.Kind == engine.KindReadModel {
			c.Stale, c.Refolded = true, &far
		}
	}), nil
}

// lagMetric is a place where commits wait for a consumer, by the metric that tells
// for how long.
type lagMetric struct {
	namespace, metric, dimension, name string
	unit                               time.Duration
}

// lagMetrics are the places that a consumer's commits pass: a reader of the stream,
// and an inbox. What is not wired here is left out.
func (p *Platform) lagMetrics(consumer string) (out []lagMetric) {
	reader := func(function string) {
		if function != "" {
			out = append(out, lagMetric{"AWS/Lambda", "IteratorAge", "FunctionName", function, time.Millisecond})
		}
	}
	id := engine.ParseConsumer(consumer)
	plugin := p.Wiring.Plugins[id.Plugin()]
	switch id.Kind {
	case engine.KindTask:
		return nil
	case engine.KindReadModel:
		reader(plugin.Projector)
		return out
	}
	for _, x := range p.Plugins { // an extension's commits pass another plugin's function
		for _, pub := range x.Publications {
			if slices.Contains(p.engine.Listeners(pub.Point.Name), consumer) {
				plugin = p.Wiring.Plugins[x.Name]
			}
		}
	}
	reader(plugin.EventMapping)
	if id.Kind == engine.KindErasure {
		return out
	}
	target, follows := p.engine.Target(consumer)
	if follows && target == "" {
		target = id.Plugin()
	}
	for _, lane := range []string{"", wiring.BulkInbox} {
		queue := p.Wiring.Inboxes[target+lane]
		if queue == "" {
			continue
		}
		out = append(out, lagMetric{"AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue[strings.LastIndex(queue, "/")+1:], time.Second})
	}
	return out
}

// lags are for how long commits have waited at most in the latest minute that
// CloudWatch knows.
func (p *Platform) lags(ctx context.Context, now time.Time) (map[lagMetric]time.Duration, error) {
	places := map[lagMetric]figure{}
	for _, name := range p.engine.Consumers() {
		for _, w := range p.lagMetrics(name) {
			places[w] = figure{w.namespace, w.metric, map[string]string{w.dimension: w.name}}
		}
	}
	values, err := figures(ctx, p.cloudwatch, places, now.Add(-5*time.Minute), now, time.Minute, "Maximum")
	lags := map[lagMetric]time.Duration{}
	for w, v := range values {
		lags[w] = time.Duration(v[0] * float64(w.unit))
	}
	return lags, err
}

// failures are how many runs of each side effect and task failed in the latest 24
// hours, as far as CloudWatch knows.
func (p *Platform) failures(ctx context.Context, now time.Time) (map[string]int, error) {
	counts := map[string]figure{}
	for _, name := range append(p.engine.Consumers(), p.engine.Tasks()...) {
		var metric string
		id := engine.ParseConsumer(name)
		switch id.Kind {
		case engine.KindSideEffect:
			metric = wiring.MetricSideEffectFailed
		case engine.KindTask:
			metric = wiring.MetricTaskFailed
		default:
			continue
		}
		counts[name] = figure{wiring.MetricNamespace, metric, map[string]string{wiring.DimensionPlugin: id.Plugin(), wiring.DimensionConsumer: name}}
	}
	values, err := figures(ctx, p.cloudwatch, counts, now.Add(-24*time.Hour), now, time.Hour, "Sum")
	failures := map[string]int{}
	for name, hours := range values {
		for _, n := range hours {
			failures[name] += int(n)
		}
	}
	return failures, err
}

// figure is a metric of CloudWatch's.
type figure struct {
	namespace, metric string
	dimensions        map[string]string
}

// figures are the metrics' values by period, the latest first; what CloudWatch has none
// of is left out.
func figures[K comparable](ctx context.Context, client cloudwatch.GetMetricDataAPIClient, of map[K]figure, from, to time.Time, period time.Duration, statistic string) (map[K][]float64, error) {
	if len(of) == 0 {
		return nil, nil
	}
	all := slices.Collect(maps.Keys(of))
	in := &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to, ScanBy: cwtypes.ScanByTimestampDescending}
	for i, k := range all {
		f := of[k]
		var dimensions []cwtypes.Dimension
		for name, value := range f.dimensions {
			dimensions = append(dimensions, cwtypes.Dimension{Name: &name, Value: &value})
		}
		in.MetricDataQueries = append(in.MetricDataQueries, cwtypes.MetricDataQuery{
			Id: awssdk.String("m" + strconv.Itoa(i)),
			MetricStat: &cwtypes.MetricStat{
				Period: awssdk.Int32(int32(period.Seconds())), Stat: &statistic,
				Metric: &cwtypes.Metric{Namespace: &f.namespace, MetricName: &f.metric, Dimensions: dimensions},
			},
		})
	}
	out, err := client.GetMetricData(ctx, in)
	if err != nil {
		return nil, err
	}
	values := map[K][]float64{}
	for _, r := range out.MetricDataResults {
		i, err := strconv.Atoi(strings.TrimPrefix(awssdk.ToString(r.Id), "m"))
		if err == nil && i < len(all) && len(r.Values) > 0 {
			values[all[i]] = r.Values
		}
	}
	return values, nil
}
