package aws

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// verify is what the plugins' functions find.
func (s shop) verify() (claims engine.Claims, found []engine.Finding) {
	s.Helper()
	for cursor := ""; ; {
		v, err := s.Operations().Verify(s.Context(), cursor, time.Now())
		if err != nil {
			s.Fatal(err)
		}
		found = append(found, v.Findings...)
		claims.Streams, claims.Commits, claims.Hashed = claims.Streams+v.Claims.Streams, claims.Commits+v.Claims.Commits, claims.Hashed+v.Claims.Hashed
		claims.Rows, claims.Cursors = claims.Rows+v.Claims.Rows, claims.Cursors+v.Claims.Cursors
		if cursor = v.Next; cursor == "" {
			return claims, found
		}
	}
}

func TestAChangedItemIsNoticed(t *testing.T) {
	// Given a product in whose log somebody has changed the price
	s := newShop(t)
	s.given("Catalog.Product", "p1", "Add", tea)
	s.given("Catalog.Product", "p1", "UpdateName", `{"name":"Chai"}`)
	st := engine.Stream{Aggregate: "Catalog.Product", ID: "p1"}
	whole, found := s.verify()
	if len(found) > 0 || whole.Rows == 0 || whole.Hashed != whole.Commits {
		t.Errorf("before that, found %+v, and claims %+v", found, whole)
	}
	streams := whole.Streams
	table, err := s.store.events("Catalog")
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.store.get(t.Context(), table, commitKey(st, 0))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(binary(first, attrHash)); n != engine.HashSize {
		t.Fatalf("its hash has %d bytes", n)
	}
	first[attrEvents] = str(string(bytes.Replace([]byte(text(first, attrEvents)), []byte("9.99"), []byte("1.99"), 1)))
	if _, err := s.store.db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: first}); err != nil {
		t.Fatal(err)
	}
	// When it is verified by the plugins' functions, then that is found, and nothing else
	if claims, found := s.verify(); len(found) != 1 || found[0].Stream != st.String() || claims.Streams != streams-1 {
		t.Errorf("found %+v, and claims %+v", found, claims)
	}
	// When a function that has not seen it decides, then the command is refused
	cold := s.platform(s.cloud.plugins...)
	if _, err := s.send(cold, "Catalog.Product", "p1", "UpdatePrice", `{"price":1}`); !errors.Is(err, engine.ErrBroken) {
		t.Errorf("a command: %v", err)
	}
	// And its history is an error
	if events, _, err := cold.engine.History(t.Context(), "Catalog.Product", "p1", "", 10); !errors.Is(err, engine.ErrBroken) {
		t.Errorf("its history has %d events: %v", len(events), err)
	}
	// And a record of it that comes with the table's stream stands for its place alone
	image := map[string]events.DynamoDBAttributeValue{
		wiring.Stream: events.NewStringAttribute(wiring.StreamKey("Catalog.Product", "p1")), wiring.Seq: events.NewNumberAttribute("0"),
		attrVersion: events.NewNumberAttribute("1"), attrEvents: events.NewStringAttribute(text(first, attrEvents)),
		attrMeta: events.NewStringAttribute(text(first, attrMeta)), attrHash: events.NewBinaryAttribute(binary(first, attrHash)),
	}
	if c, err := recordedCommit("Catalog", image); !errors.Is(err, engine.ErrBroken) || len(c.Events) > 0 {
		t.Errorf("the record is %+v: %v", c, err)
	}
}

func TestEachStreamIsListedOnceWhateverItHasLost(t *testing.T) {
	// Given a product with more commits than are looked at at a time, and one whose log has lost its first
	s := newShop(t)
	for _, id := range []string{"long", "lost"} {
		s.given("Catalog.Product", id, "Add", tea)
		s.given("Catalog.Product", id, "UpdateName", `{"name":"Chai"}`)
	}
	for i := range 300 {
		s.given("Catalog.Product", "long", "UpdatePrice", fmt.Sprintf(`{"price":%d}`, i+1))
	}
	table, err := s.store.events("Catalog")
	if err != nil {
		t.Fatal(err)
	}
	first := commitKey(engine.Stream{Aggregate: "Catalog.Product", ID: "lost"}, 0)
	if _, err := s.store.db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: table, Key: first}); err != nil {
		t.Fatal(err)
	}
	// When streams are listed, then each is there once: whoever looks for damage looks there, too
	ids, next, err := s.store.Streams(t.Context(), "Catalog.Product", "")
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"long", "lost"}) || next != "" || err != nil {
		t.Errorf("streams: %v %q %v", ids, next, err)
	}
	if _, found := s.verify(); len(found) != 1 || found[0].Stream != "Catalog.Product#lost" {
		t.Errorf("found %+v", found)
	}
}
