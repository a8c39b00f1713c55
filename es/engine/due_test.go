package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/platform/platformtest"
)

// inDays is due as many days after the loan as the reader's name says.
func inDays(e es.Recorded[any]) time.Time {
	var days int
	if _, name, ok := strings.Cut(fmt.Sprint(e.Event), "days-"); ok {
		_, _ = fmt.Sscan(strings.Trim(name, "}"), &days)
	}
	return e.Time.AddDate(0, 0, days)
}

func TestAMappingActsWhenItsEventSays(t *testing.T) {
	// Given a mapping that is due when its event says
	l := newLibrary(t, nil)
	plugins := platformtest.Library{World: l.World}.Plugins()
	plugins[0].Mappings[0] = plugins[0].Mappings[0].Due(es.At(inDays))
	if err := l.Deploy(plugins, nil); err != nil {
		t.Fatal(err)
	}
	acted := func(id string, reader ...string) time.Duration {
		t.Helper()
		began := l.Now()
		l.acquire(id, "B")
		for _, r := range reader {
			l.lend(id, r)
		}
		l.settle()
		last := reader[len(reader)-1]
		l.thenEvents("Lending.Reader", last, "Noted "+id)
		return l.Now().Sub(began)
	}
	for name, c := range map[string]struct {
		readers []string
		want    time.Duration
	}{
		"at once":                   {[]string{"now"}, 0},
		"in 45 days":                {[]string{"days-45"}, 45 * 24 * time.Hour},
		"beyond a time in nanos":    {[]string{"days-100000"}, 100000 * 24 * time.Hour},
		"before now":                {[]string{"days--3"}, 0},
		"after what is ahead of it": {[]string{"days-30", "behind"}, 30 * 24 * time.Hour},
	} {
		// When it acts, then that is no earlier and no later
		if got := acted(strings.ReplaceAll(name, " ", "-"), c.readers...); got != c.want {
			t.Errorf("%s: it acted after %s, want %s", name, got, c.want)
		}
	}
}

func TestADueTimeIsNoDelay(t *testing.T) {
	l := newLibrary(t, nil)
	plugins := platformtest.Library{World: l.World}.Plugins()
	plugins[0].Mappings[0] = plugins[0].Mappings[0].Due(es.At(inDays)).After(time.Hour)
	if err := l.Deploy(plugins, nil); err == nil || !strings.Contains(err.Error(), "mapping Lending.Remind: it has a delay and a due time") {
		t.Errorf("got %v", err)
	}
}
