package aws

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/platform/aws/wiring"
)

// A plugin's live and bulk commits share one stream, in which nothing passes anything. So
// that live ones don't wait long there, tasks pause while the stream's reader is behind:
// the event mapping function notes how far, tasks look at the note at each checkpoint.
const (
	lagFrom  = 5 * time.Second  // that a task pauses for
	lagEvery = 5 * time.Second  // at most so often a process notes it, or looks at it
	lagHolds = 30 * time.Second // a note is out of date: the reader has nothing to read
)

const attrLag = "lag" // seconds

// lag is what a process knows of how far a plugin's stream is behind.
type lag struct {
	mu    sync.Mutex
	at    time.Time // when it was noted, or looked at
	noted time.Duration
}

// noteLag keeps how old the batch's latest commit is, if that is much, or was. That it
// fails is logged: a task that does not pause is no fault.
func (p *Platform) noteLag(ctx context.Context, plugin string, e events.DynamoDBEvent) {
	if len(e.Records) == 0 {
		return
	}
	now := p.clock.Now()
	behind := now.Sub(e.Records[len(e.Records)-1].Change.ApproximateCreationDateTime.Time)
	p.lag.mu.Lock()
	defer p.lag.mu.Unlock()
	if behind < lagFrom && p.lag.noted < lagFrom || now.Sub(p.lag.at) < lagEvery {
		return
	}
	p.lag.at, p.lag.noted = now, behind
	table, err := p.store.cursors(plugin)
	if err == nil {
		x := newExpression()
		set := "SET " + x.name(attrLag) + " = " + x.value(&types.AttributeValueMemberN{Value: strconv.Itoa(int(behind.Seconds()))}) +
			", " + x.name(attrTime) + " = " + x.value(str(formatStart(now)))
		_, err = p.store.update(ctx, table, item{wiring.Key: str(wiring.LagKey)}, x, set, "")
	}
	if err != nil {
		p.log.WarnContext(ctx, "it can't be noted how far the stream is behind; tasks don't pause for it", "plugin", plugin, "error", err)
	}
}

// behind is how far the plugin's stream is behind, as far as is known.
func (p *Platform) behind(ctx context.Context, plugin string) (time.Duration, error) {
	p.lag.mu.Lock()
	defer p.lag.mu.Unlock()
	now := p.clock.Now()
	if now.Sub(p.lag.at) < lagEvery {
		return p.lag.noted, nil
	}
	table, err := p.store.cursors(plugin)
	if err != nil {
		return 0, err
	}
	i, err := p.store.get(ctx, table, item{wiring.Key: str(wiring.LagKey)})
	if err != nil {
		return 0, err
	}
	p.lag.at, p.lag.noted = now, 0
	at, _ := time.Parse(time.RFC3339Nano, text(i, attrTime)) // none: there was never a lag
	if v, ok := i[attrLag].(*types.AttributeValueMemberN); ok && now.Sub(at) < lagHolds {
		seconds, _ := strconv.Atoi(v.Value)
		p.lag.noted = time.Duration(seconds) * time.Second
	}
	return p.lag.noted, nil
}

// paced is stopping, and before that a pause while the plugin's stream is behind.
func (p *Platform) paced(ctx context.Context, plugin string, stopping func() bool) func() bool {
	return func() bool {
		for !stopping() {
			behind, err := p.behind(ctx, plugin)
			if err != nil {
				p.log.WarnContext(ctx, "it is not known how far the stream is behind; the task does not pause for it", "plugin", plugin, "error", err)
			}
			if behind < lagFrom {
				return false
			}
			if p.clock.Sleep(ctx, lagEvery) != nil {
				return true
			}
		}
		return true
	}
}
