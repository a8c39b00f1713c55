package aws

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

func TestAHintThatIsDueInDaysWaitsAmongTheCursors(t *testing.T) {
	c := newCloud(t, platformtest.Library{World: platformtest.NewWorld()}.Plugins())
	p, ctx := c.platforms["Lending"], t.Context()
	hint := func(id string) engine.Hint {
		return engine.Hint{Follower: "mapping:Lending.Remind", Stream: engine.Stream{Aggregate: "Lending.Book", ID: id}, Seq: 3, Waited: true}
	}
	waiting := func() (bodies []string, delays []int32) {
		for _, d := range c.waiting {
			bodies, delays = append(bodies, d.record.(events.SQSMessage).Body), append(delays, d.delay)
		}
		c.waiting = nil
		return bodies, delays
	}
	tick := func(now time.Time, want int) {
		t.Helper()
		if sent, err := p.sendDue(ctx, "Lending", now); err != nil || sent != want {
			t.Fatalf("the tick sent %d, %v; want %d", sent, err, want)
		}
	}
	// Given hints that are due in ten days and, the same one twice, in eleven
	start := time.Now()
	for id, days := range map[string]int{"ten": 10, "eleven": 11} {
		for range 2 {
			due := start.AddDate(0, 0, days)
			if err := (*hints)(p).keepUntil(ctx, due, []engine.Hint{hint(id)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := (*hints)(p).Send(ctx, 240*time.Hour, hint("sent")); err != nil {
		t.Fatal(err)
	}
	// Then none is in a queue, and none is sent before its time is near
	if got, _ := waiting(); len(got) != 0 {
		t.Fatalf("sent at once: %q", got)
	}
	tick(start.AddDate(0, 0, 10).Add(-time.Hour), 0)
	// When the first ones are due within minutes, then they wait for the rest in their queue
	tick(start.AddDate(0, 0, 10).Add(-5*time.Minute), 2)
	got, delays := waiting()
	if len(got) != 2 || delays[0] < 290 || delays[0] > 310 || !strings.Contains(strings.Join(got, " "), "Lending.Book#ten") {
		t.Errorf("got %q after %v seconds", got, delays)
	}
	// And they are forgotten
	tick(start.AddDate(0, 0, 10), 0)
	// When the tick was away for days, then what is overdue is sent at once
	tick(start.AddDate(0, 0, 20), 1)
	if got, delays := waiting(); len(got) != 1 || delays[0] != 0 || !strings.Contains(got[0], `"waited":true`) {
		t.Errorf("got %q after %v seconds", got, delays)
	}
	// When SQS refuses, then what is due stays
	if err := (*hints)(p).keepUntil(ctx, start, []engine.Hint{hint("late")}); err != nil {
		t.Fatal(err)
	}
	c.refusals = 1000
	if _, err := p.sendDue(ctx, "Lending", start); err == nil {
		t.Error("the tick does not say that SQS refuses")
	}
	c.refusals = 0
	tick(start, 1)
}

func TestWhatIsDueCostsAsTheDocumentationSays(t *testing.T) {
	all := platformtest.Library{World: platformtest.NewWorld()}.Plugins()
	c := newCloud(t, all)
	p, ctx, now := c.platforms["Lending"], t.Context(), time.Now()
	hint := engine.Hint{Follower: "mapping:Lending.Remind", Stream: engine.Stream{Aggregate: "Lending.Book", ID: "b"}, Waited: true}
	costs := func(f func() error) (read, write float64) {
		t.Helper()
		for _, x := range c.during(func() {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}) {
			read, write = read+x.read, write+x.write+x.indexes
		}
		return read, write
	}
	for _, x := range []struct {
		what        string
		read, write float64
		do          func() error
	}{
		{"a hint that is kept", 0, 2, func() error { return (*hints)(p).keepUntil(ctx, now, []engine.Hint{hint}) }},
		{"a tick that sends it", 4, 2, func() error { _, err := p.sendDue(ctx, "Lending", now); return err }},
		{"a tick with nothing to send", 4, 0, func() error { _, err := p.sendDue(ctx, "Lending", now); return err }},
		{"the first look at a schedule", 1, 1, func() error { return p.engine.RunSchedule(ctx, "Lending.Stock.Nightly", stays) }},
		{"a look at a schedule", 1, 0, func() error { return p.engine.RunSchedule(ctx, "Lending.Stock.Nightly", stays) }},
	} {
		if read, write := costs(x.do); read != x.read || write != x.write {
			t.Errorf("%s costs %.1f read and %.1f write units, want %.1f and %.1f", x.what, read, write, x.read, x.write)
		}
	}
}

// stays is a function that has time.
func stays() bool { return false }
