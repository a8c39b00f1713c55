package aws

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

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
	for _, x := range []struct {
		lag  time.Duration
		want bool
	}{{0, false}, {time.Second, false}, {20 * time.Second, true}} {
		// Given the function that reads the stream, which gets a batch of that age
		c.platform(c.plugins...).noteLag(t.Context(), "Lending", aged(x.lag))
		// When a task's function asks
		behind, err := c.platform(c.plugins...).behind(t.Context(), "Lending")
		// Then it knows whether to pause
		if err != nil || (behind >= lagFrom) != x.want {
			t.Errorf("the stream is %s behind: the task sees %s, %v", x.lag, behind, err)
		}
	}
	// And a reader that has caught up says so
	p := c.platform(c.plugins...)
	p.lag.noted = 20 * time.Second
	p.noteLag(t.Context(), "Lending", aged(0))
	if behind, err := c.platform(c.plugins...).behind(t.Context(), "Lending"); err != nil || behind >= lagFrom {
		t.Errorf("the stream has caught up: the task sees %s, %v", behind, err)
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
