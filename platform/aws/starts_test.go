package aws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

// start is when a follower began, as another process reads it.
func start(t *testing.T, c *cloud, follower string) time.Time {
	t.Helper()
	plugin := engine.ParseConsumer(follower).Plugin()
	s := &starts{store: c.platform(c.plugins...).store}
	if there, err := s.load(t.Context(), plugin); err != nil || !there {
		t.Fatalf("the starts of %s: there %t, %v", plugin, there, err)
	}
	at, known := s.known.Load(follower)
	if !known {
		t.Fatalf("it is not known when %s began", follower)
	}
	return at.(time.Time)
}

func begin(t *testing.T, c *cloud) {
	t.Helper()
	if err := c.platform(c.plugins...).engine.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const remind, recall = "mapping:Lending.Remind", "mapping:Lending.Recall"

func TestFollowersOfAnEarlierVersionWereThereFromTheBeginning(t *testing.T) {
	// Given a shop of a version that kept no starts, in which one mapping has a cursor
	c := newCloud(t, platformtest.Library{World: platformtest.NewWorld(), Later: true}.Plugins())
	p := c.platform(c.plugins...)
	if err := p.store.Advance(t.Context(), remind, engine.Stream{Aggregate: "Lending.Book", ID: "b"}, 0, 1); err != nil {
		t.Fatal(err)
	}
	// When a version comes that keeps them, and has one more
	before := time.Now().Truncate(time.Millisecond)
	begin(t, c)
	// Then the one goes on, and the other begins
	if at := start(t, c, remind); !at.IsZero() {
		t.Errorf("%s began at %s", remind, at)
	}
	if at := start(t, c, recall); at.Before(before) {
		t.Errorf("%s began at %s, before it was there, %s", recall, at, before)
	}
}

func TestAStartIsKept(t *testing.T) {
	// Given a shop whose followers have begun
	c := newCloud(t, platformtest.Library{World: platformtest.NewWorld()}.Plugins())
	begin(t, c)
	first := start(t, c, remind)
	if now := time.Now(); first.After(now.Add(-margin)) {
		t.Errorf("in a new shop it began at %s, now is %s: what is on its way would be lost", first, now)
	}
	// When a later version comes, and the processes start once more
	c.plugins = platformtest.Library{World: platformtest.NewWorld(), Later: true}.Plugins()
	begin(t, c)
	second := start(t, c, recall)
	begin(t, c)
	// Then each has the start that it had
	for follower, want := range map[string]time.Time{remind: first, recall: second} {
		if at := start(t, c, follower); !at.Equal(want) {
			t.Errorf("%s began at %s, and at %s", follower, want, at)
		}
	}
	if !second.After(first) {
		t.Errorf("the later one began at %s, the first at %s", second, first)
	}
}

// What a plugin commits itself may reach it before what set that off.
func TestANewListenerBeginsWithWhatItHearsFirst(t *testing.T) {
	// Given a press to which a later version comes, with a side effect that hears of books
	c := newCloud(t, platformtest.Library{World: platformtest.NewWorld()}.Plugins())
	begin(t, c)
	c.plugins = platformtest.Library{World: platformtest.NewWorld(), Later: true}.Plugins()
	heard := time.Now().Add(-10 * time.Second).Truncate(time.Millisecond)
	// When a commit of its own comes first
	p := c.platform(c.plugins...)
	if err := p.engine.BeginWith(t.Context(), "Press", heard.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	// And then what it hears of, in no order
	hint := func(after time.Duration) engine.Hint {
		return engine.Hint{Follower: "effect:Press.Announce", Entry: &engine.Entry{Point: "Lending.Books", Time: heard.Add(after)}}
	}
	if err := p.engine.BeginHearing(t.Context(), hint(time.Second), hint(0), hint(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	// Then it begins with the earliest of that
	if at := start(t, c, "effect:Press.Headline"); !at.Equal(heard) {
		t.Errorf("it began at %s, want %s", at, heard)
	}
}

// An extension's cursor may be there before its plugin's side effects hear of anything.
func TestANewPluginBeginsWithWhoeverHearsFirst(t *testing.T) {
	// Given a new shop, in which a book has been lent, and lent again
	c := newCloud(t, platformtest.Library{World: platformtest.NewWorld()}.Plugins())
	book, now := engine.Stream{Aggregate: "Lending.Book", ID: "b"}, time.Now().Truncate(time.Millisecond)
	hint := func(follower string, at time.Time) engine.Hint {
		return engine.Hint{Follower: follower, Stream: book, Seq: 0, Entry: &engine.Entry{
			Point: "Lending.Books", Stream: book, Prev: -1, Time: at,
			Events: []engine.PublishedEvent{{StoredEvent: es.NewStoredEvent("BookLent", 1, []byte(`{"book":"b","to":"ann"}`)), Key: "b"}},
		}}
	}
	// When an extension hears of one first
	if err := c.platform(c.plugins...).engine.Follow(t.Context(), hint("extension:Press.Books_Extension", now)); err != nil {
		t.Fatal(err)
	}
	// And then a side effect, in another process, which is told of the later one first
	const announce = "effect:Press.Announce"
	if err := c.platform(c.plugins...).engine.BeginHearing(t.Context(), hint(announce, now.Add(time.Second))); err != nil {
		t.Fatal(err)
	}
	// Then it has not missed what is still on its way
	if at := start(t, c, announce); at.After(now) {
		t.Errorf("it began at %s, after what it has not heard of yet, %s", at, now)
	}
}

func TestANewFollowerBeginsWithTheCommitThatReachesItFirst(t *testing.T) {
	// Given a shop to which a later version comes
	c := newCloud(t, platformtest.Library{World: platformtest.NewWorld()}.Plugins())
	begin(t, c)
	c.plugins = platformtest.Library{World: platformtest.NewWorld(), Later: true}.Plugins()
	// When a commit reaches it that was a while on its way
	committed := time.Now().Add(-10 * time.Second).Truncate(time.Millisecond)
	p := c.platform(c.plugins...)
	s := &starts{store: p.store, clock: p.clock}
	if err := s.Begin(t.Context(), "Lending", engine.Beginning{Followers: []string{remind, recall}, First: committed}); err != nil {
		t.Fatal(err)
	}
	// Then it is not past, and one before it is
	for before, want := range map[time.Duration]bool{0: false, time.Millisecond: true} {
		past, err := s.Past(t.Context(), recall, engine.Stream{}, 0, committed.Add(-before))
		if err != nil || past != want {
			t.Errorf("a commit %s before it is past: %t, %v", before, past, err)
		}
	}
	// And nobody's cursors are in the way
	if out, err := p.store.db.Scan(t.Context(), &dynamodb.ScanInput{TableName: ptr(c.wiring.Plugins["Lending"].Cursors)}); err != nil || len(out.Items) != 1 {
		t.Errorf("the table of cursors has %d items, %v", len(out.Items), err)
	}
}

func ptr(s string) *string { return &s }
