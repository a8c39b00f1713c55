package aws

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/platformtest"
)

// aged is a batch whose latest record is that old.
func aged(by time.Duration) (e events.DynamoDBEvent) {
	e.Records = []events.DynamoDBEventRecord{{Change: events.DynamoDBStreamRecord{
		ApproximateCreationDateTime: events.SecondsEpochTime{Time: time.Now().Add(-by)},
	}}}
	return e
}

func TestATaskLearnsHowFarTheStreamIsBehind(t *testing.T) {
	c := newCloud(t, platformtest.Library{World: platformtest.NewWorld()}.Plugins())
	pauses := func() bool {
		t.Helper()
		behind, err := c.platform(c.plugins...).behind(t.Context(), "Lending")
		if err != nil {
			t.Fatal(err)
		}
		return behind >= lagFrom
	}
	for _, r := range streamReaders {
		for _, x := range []struct {
			lag  time.Duration
			want bool
		}{{0, false}, {time.Second, false}, {20 * time.Second, true}} {
			// Given a function that reads the stream, which gets a batch of that age
			c.platform(c.plugins...).noteLag(t.Context(), "Lending", r, aged(x.lag))
			// When a task's function asks, then it knows whether to pause
			if got := pauses(); got != x.want {
				t.Errorf("by %s the stream is %s behind: the task pauses: %t", r.lag, x.lag, got)
			}
		}
		// And that the other one keeps up changes nothing
		for _, other := range streamReaders {
			if other == r {
				continue
			}
			p := c.platform(c.plugins...)
			p.lag.noted = lagFrom
			if p.noteLag(t.Context(), "Lending", other, aged(0)); !pauses() {
				t.Errorf("by %s the stream is behind, and the task goes on", r.lag)
			}
		}
		// And a reader that has caught up says so
		p := c.platform(c.plugins...)
		p.lag.noted = 20 * time.Second
		if p.noteLag(t.Context(), "Lending", r, aged(0)); pauses() {
			t.Errorf("by %s the stream has caught up, and the task pauses", r.lag)
		}
	}
}

func TestACommitIsAsOldAsItSaysWhereTheStreamsTimesAreCoarse(t *testing.T) {
	// Given a batch whose time was rounded down, as DynamoDB Local does, of a commit that is new
	c := newCloud(t, platformtest.Library{World: platformtest.NewWorld()}.Plugins())
	meta, err := json.Marshal(engine.Meta{Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	e := aged(50 * time.Second)
	e.Records[0].Change.NewImage = map[string]events.DynamoDBAttributeValue{
		wiring.Stream: events.NewStringAttribute("Book#b1"), wiring.Seq: events.NewNumberAttribute("0"), attrVersion: events.NewNumberAttribute("1"),
		attrEvents: events.NewStringAttribute("[]"), attrMeta: events.NewStringAttribute(string(meta)),
	}
	// When that is noted, then no task pauses
	c.platform(c.plugins...).noteLag(t.Context(), "Lending", relaying, e)
	if behind, err := c.platform(c.plugins...).behind(t.Context(), "Lending"); err != nil || behind >= lagFrom {
		t.Errorf("the task sees %s, %v", behind, err)
	}
}

// late is the context of a run that has no time to wait.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Now(), true }

func TestATaskThatGoesOnPausesBeforeItBegins(t *testing.T) {
	c := newServices(t, nil)
	p := c.platform()
	lambdacontext.FunctionName = "import"
	worked := 0
	h := p.Imports("Catalog", es.Task{Name: "Import", OnObject: func(context.Context, es.Object, es.Shop) error { worked++; return nil }})
	c.handlers["import"] = h
	for _, x := range []struct {
		ctx    context.Context
		goesOn bool
		behind time.Duration
		works  int
	}{{late{t.Context()}, false, time.Minute, 1}, {late{t.Context()}, true, time.Minute, 0}, {t.Context(), true, 0, 1}} {
		// Given a stream that is so far behind, and a function that has called itself, or not
		p.lag.at, p.lag.noted, worked, c.waiting = time.Now(), x.behind, 0, nil
		event, err := json.Marshal(uploads{events.S3Event{Records: []events.S3EventRecord{announced("a.csv", nil)}}, x.goesOn})
		if err != nil {
			t.Fatal(err)
		}
		// When it is called, then it works, or calls itself once more
		if _, err := h.Invoke(x.ctx, event); err != nil {
			t.Fatal(err)
		}
		if worked != x.works || len(c.waiting) != 1-x.works {
			t.Errorf("goes on: %t, behind: %s: it worked %d times, and %d calls wait", x.goesOn, x.behind, worked, len(c.waiting))
		}
	}
}

func TestATaskPausesWhileTheStreamIsBehind(t *testing.T) {
	p := &Platform{log: slog.New(slog.DiscardHandler)}
	never := func() bool { return false }
	// Given a stream that keeps up: the task goes on
	p.lag.at = time.Now()
	if p.paced(t.Context(), "Lending", never)() {
		t.Error("the task stops, although the stream keeps up")
	}
	// Given one that is behind: the task waits, until its time ends
	p.lag.noted = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if !p.paced(ctx, "Lending", never)() {
		t.Error("the task goes on, although the stream is behind")
	}
	asked := 0
	if !p.paced(t.Context(), "Lending", func() bool { asked++; return true })() || asked != 1 {
		t.Errorf("the task does not stop when it is to; asked %d times", asked)
	}
}

func TestLiveWorkOfABatchIsDoneFirst(t *testing.T) {
	// Given much bulk work, which takes as long as there is live work
	const live, bulk = 5, 10 * parallel
	work := map[int][]place[int]{}
	for n := range live + bulk {
		work[n] = []place[int]{{"", n}}
	}
	isLive := func(n int) bool { return n < live }
	var lives sync.WaitGroup
	lives.Add(live)
	// When it is done, then it comes to an end
	undone := inParallel(work, isLive, func(n int) error {
		if isLive(n) {
			lives.Done()
		}
		lives.Wait()
		return nil
	})
	if len(undone) != 0 {
		t.Errorf("%d are not done", len(undone))
	}
}
