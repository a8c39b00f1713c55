package roles

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// used are the parts in which each permission was asked for.
var used = sync.OnceValues(func() (map[permission][]part, error) {
	all := map[permission][]part{}
	for _, p := range parts {
		l, err := listen()
		if err != nil {
			return nil, err
		}
		began := time.Now()
		failed := p.walk(context.Background())
		heard, err := l.heard()
		if err != nil {
			return nil, err
		}
		for _, a := range heard {
			if a.Denied && failed != nil {
				return nil, fmt.Errorf("%w; denied was %s %s to %s", failed, a.Action, a.Resource, a.Role)
			}
			for _, x := range shop.rights.all {
				if a.of(x) && !slices.ContainsFunc(all[x], func(y part) bool { return y.name == p.name }) {
					all[x] = append(all[x], p)
				}
			}
		}
		if failed != nil {
			return nil, failed
		}
		fmt.Printf("    %s: %s\n", p.name, time.Since(began).Round(100*time.Millisecond))
	}
	return all, nil
})

func TestRolesAllowWhatTheShopDoes(t *testing.T) {
	// Given the shop with its roles as they are, and what nobody may
	l, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	// When it does all that it does
	if _, err := used(); err != nil {
		t.Fatal(err)
	}
	// Then it was denied nothing, but what a part denies it on purpose
	heard, err := l.heard()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range heard {
		if a.Denied && !(a.Action == "dynamodb:PutItem" && strings.Contains(a.Resource, "Events")) {
			t.Errorf("%s was denied %s on %s", short(a.Role), a.Action, short(a.Resource))
		}
	}
}

// unseen are the permissions that can't be shown to be needed here, with the reason.
var unseen = []struct{ function, action, resource, why string }{
	{".*", "xray:.*", ".*", "Lambda's own agent sends traces, and there is none here"},
	{".*", "logs:.*", ".*", "Lambda itself writes the log, as the role; here it does so as nobody"},
	{".*", "dynamodb:(DescribeStream|GetRecords|GetShardIterator|ListStreams)", ".*", "Lambda itself reads the stream, as the role; here it does so as nobody"},
	{".*", "sqs:(ReceiveMessage|DeleteMessage|GetQueueAttributes)", ".*", "Lambda itself reads the queue, as the role; here it does so as nobody"},
	{".*", "sqs:SendMessage", ".*DeadLetters", "Lambda itself keeps what failed, as the role; here it does so as nobody"},
	{"Query|CatalogImportProducts", "s3:ListBucket", ".*", "S3 does not ask for it: with it, it answers that an object is not there; without, that it is forbidden"},
	{"Query", "cloudwatch:GetMetricData", ".*", "the emulator does not ask whether anybody may"},
	{"CatalogProductDemandCommand|OrderingCatalogProductCommand", "dynamodb:ConditionCheckItem", ".*Events", "a follower's command that is refused is kept with it, and this aggregate refuses none"},
	{"OrderingOrderCommand", "dynamodb:ConditionCheckItem", ".*Cursors", "a follower's command that reads other aggregates is appended with it, and AutoShip's reads none"},
	{"CatalogExportProducts", "dynamodb:Query", ".*Rows/index/.*", "a task may list what it reads by fields, and sorted; the stack can't know that this one does not"},
	{"CatalogExportProducts", "dynamodb:GetItem", ".*Snapshots", "a task may read aggregates; the stack can't know that this one does not"},
	{"CatalogExportProducts", "dynamodb:Query", ".*Events", "likewise"},
	{"OrderingProjector", "dynamodb:PutItem", ".*Keys", "a new stack has no subjects from before what is personal was sealed"},
	{"OrderingCatalogProductCommand", "dynamodb:GetItem", ".*Keys", "a rule may read aggregates of its plugin; the stack can't know that no rule here does"},
	{"OrderingOrderCommand", "dynamodb:PutItem", ".*Snapshots", "an order has three commits at most; the stack can't know"},
}

func why(p permission) string {
	for _, x := range unseen {
		if regexp.MustCompile("^("+x.function+")$").MatchString(p.function) && regexp.MustCompile("^("+x.action+")$").MatchString(p.action) && regexp.MustCompile("^("+x.resource+")$").MatchString(short(p.resource)) {
			return x.why
		}
	}
	return ""
}

// sample is how many permissions are taken away where not all are: always the same ones.
// SHOP_ROLES_ALL=1 takes all, SHOP_ROLES_SEED others, and SHOP_ROLES_ONLY those whose text
// matches.
const sample = 15

func TestNoPermissionIsSpare(t *testing.T) {
	// Given where each permission is asked for
	asks, err := used()
	if err != nil {
		t.Fatal(err)
	}
	var tried []permission
	for _, p := range shop.rights.all {
		switch {
		case why(p) != "":
			if len(asks[p]) > 0 {
				t.Errorf("%s, and asks for it: it need not be excused", p)
			}
		case len(asks[p]) == 0:
			t.Errorf("%s, and never asks for it", p)
		default:
			tried = append(tried, p)
		}
	}
	t.Logf("%d permissions, of which %d are asked for", len(shop.rights.all), len(tried))
	if only := os.Getenv("SHOP_ROLES_ONLY"); only != "" {
		tried = slices.DeleteFunc(tried, func(p permission) bool { return !regexp.MustCompile(only).MatchString(p.String()) })
	} else if os.Getenv("SHOP_ROLES_ALL") == "" {
		seed, err := strconv.ParseUint(cmp.Or(os.Getenv("SHOP_ROLES_SEED"), "0"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("a sample of them: SHOP_ROLES_SEED=%d", seed)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(tried), func(i, j int) { tried[i], tried[j] = tried[j], tried[i] })
		tried = tried[:min(sample, len(tried))]
	}
	for _, p := range tried {
		t.Run(p.String(), func(t *testing.T) {
			// When it is taken away, and the shop does what needs it
			var outcomes []string
			for _, part := range asks[p] { // those that take long come last
				missed, outcome := without(t, p, part)
				if missed { // Then that is denied
					return
				}
				outcomes = append(outcomes, fmt.Sprintf("%s: %v", part.name, outcome))
			}
			t.Errorf("nothing misses it:\n%s", strings.Join(outcomes, "\n"))
		})
	}
}

// without walks through a part without a permission, until the function is denied it.
func without(t *testing.T, p permission, of part) (missed bool, outcome error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if err := shop.withhold(ctx, p, true); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := shop.withhold(context.WithoutCancel(ctx), p, false); err != nil {
			t.Fatal(err)
		}
	}()
	if err := shop.restart(ctx, shop.rights.functions[p.role]); err != nil {
		t.Fatal(err)
	}
	l, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- of.walk(ctx) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case outcome = <-ended:
			over = true
		case <-tick.C:
		}
		heard, err := l.heard()
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(heard, func(a asked) bool { return a.Denied && a.of(p) }) {
			if stop(); !over {
				outcome = <-ended // it was cut short
			}
			return true, outcome
		}
	}
	return false, outcome
}
