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
// that live ones don't wait long there, tasks pause while one of the stream's readers is
// behind: these note how far, tasks look at the notes at each checkpoint.
const (
	lagFrom  = 5 * time.Second  // that a task pauses for
	lagEvery = 5 * time.Second  // at most so often a process notes it, or looks at it
	lagHolds = 30 * time.Second // a note is out of date: the reader has nothing to read
)

// streamReader is a function that reads a plugin's stream, by the attributes of its note: of
// seconds, and when it was made.
type streamReader struct{ lag, at string }

var (
	relaying      = streamReader{"lag", attrTime}
	projecting    = streamReader{"viewLag", "viewTime"}
	streamReaders = []streamReader{relaying, projecting}
)

// lag is what a process knows of how far a plugin's stream is behind.
type lag struct {
	mu    sync.Mutex
	at    time.Time // when it was noted, or looked at
	noted time.Duration
}

// appended is about when a record's commit was appended: by the stream, whose times are
// rounded down (by DynamoDB Local to a minute), or by the commit itself, which is older
// where it was restored; so the later one.
func appended(plugin string, r events.DynamoDBEventRecord) time.Time {
	at := r.Change.ApproximateCreationDateTime.Time
	if c, err := recordedCommit(plugin, r.Change.NewImage); err == nil && c.Meta.Time.After(at) {
		return c.Meta.Time
	}
	return at
}

// noteLag keeps how old the batch's latest commit is, if that is much, or was. That it
// fails is logged: a task that does not pause is no fault.
func (p *Platform) noteLag(ctx context.Context, plugin string, by streamReader, e events.DynamoDBEvent) {
	if len(e.Records) == 0 {
		return
	}
	now := p.clock.Now()
	behind := now.Sub(appended(plugin, e.Records[len(e.Records)-1]))
	p.lag.mu.Lock()
	defer p.lag.mu.Unlock()
	if behind < lagFrom && p.lag.noted < lagFrom || now.Sub(p.lag.at) < lagEvery {
		return
	}
	p.lag.at, p.lag.noted = now, behind
	table, err := p.store.cursors(plugin)
	if err == nil {
		x := newExpression()
		set := "SET " + x.name(by.lag) + " = " + x.value(&types.AttributeValueMemberN{Value: strconv.Itoa(int(behind.Seconds()))}) +
			", " + x.name(by.at) + " = " + x.value(str(formatStart(now)))
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
	for _, r := range streamReaders {
		at, _ := time.Parse(time.RFC3339Nano, text(i, r.at)) // none: there was never a lag
		if now.Sub(at) < lagHolds {
			p.lag.noted = max(p.lag.noted, time.Duration(number(i, r.lag))*time.Second)
		}
	}
	return p.lag.noted, nil
}

// paced is stopping, and before that a pause while the plugin's stream is behind.
func (p *Platform) paced(ctx context.Context, plugin string, stopping func() bool) func() bool {
	return func() bool {
		for said := false; !stopping(); {
			behind, err := p.behind(ctx, plugin)
			if err != nil {
				p.log.WarnContext(ctx, "it is not known how far the stream is behind; the task does not pause for it", "plugin", plugin, "error", err)
			}
			if behind < lagFrom {
				return false
			}
			if !said {
				said = true
				p.log.InfoContext(ctx, "task pauses while its plugin's stream is behind", "plugin", plugin, "behindSeconds", behind.Seconds())
			}
			if p.clock.Sleep(ctx, lagEvery) != nil {
				return true
			}
		}
		return true
	}
}
