package book_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/esgen/internal/library/internal/book"
	"onlineshop/es/esgen/internal/library/shelves"
)

var full = book.Details{
	Title:      "Dune \"1\" <&>",
	Imprint:    book.Imprint{Publisher: "Chilton", Year: 1965},
	Shelf:      shelves.Shelf{Room: shelves.ReadingRoom, Row: -128},
	Spare:      shelves.Shelf{Room: shelves.Cellar, Row: 127},
	Chapters:   []book.Chapter{{Title: "Arrakis", Pages: 1 << 40}, {Title: "Muad'Dib", Pages: -1}},
	Tags:       book.Tags{"sand", "worm"},
	Rooms:      []shelves.Room{shelves.Cellar},
	Contact:    "frank@example.com",
	UIBundleID: "ui",
	Weight:     0.1,
	Lent:       true,
	Price:      es.MustPrice("9.99"),
	BoughtAt:   time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
	SoldAt:     time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
	Grid:       [][]int64{{1, 2}, {}},
}

const fullJSON = `{"title":"Dune \"1\" <&>","publisher":"Chilton","year":1965,` +
	`"shelf":{"room":"reading-room","row":-128},"spare":{"room":"cellar","row":127},` +
	`"chapters":[{"title":"Arrakis","pages":1099511627776},{"title":"Muad'Dib","pages":-1}],"tags":["sand","worm"],"rooms":["cellar"],` +
	`"contact":"frank@example.com","uiBundleId":"ui","weight":0.1,"lent":true,"price":9.99,` +
	`"boughtAt":"2026-01-02T03:04:05.678Z","soldAt":"2026-02-03T04:05:06.000Z","grid":[[1,2],[]]}`

const leastJSON = `{"title":"","publisher":"","shelf":{"room":"","row":0},"chapters":[],"rooms":[],` +
	`"uiBundleId":"","weight":0,"lent":false,"boughtAt":"0001-01-01T00:00:00.000Z","grid":[]}`

func TestEventsAreStoredAndReadBack(t *testing.T) {
	d := book.Aggregate.Definition()
	for _, c := range []struct {
		event   book.Event
		typ     string
		version int
		data    string
	}{
		{book.Registered(full), "Registered", 1, fullJSON},
		{book.Moved{Shelf: full.Shelf}, "Moved", 2, `{"shelf":{"room":"reading-room","row":-128}}`},
		{book.Retired{}, "Retired", 1, `{}`},
	} {
		typ, version, data, err := d.EncodeEvent(c.event)
		if err != nil || typ != c.typ || version != c.version || string(data) != c.data {
			t.Errorf("%T is stored as %s %d %s (%v)\nwant %s %d %s", c.event, typ, version, data, err, c.typ, c.version, c.data)
		}
		back, err := d.DecodeEvent(typ, version, data)
		if err != nil || !reflect.DeepEqual(back, []any{c.event}) {
			t.Errorf("%s is read back as %#v (%v), want %#v", typ, back, err, c.event)
		}
	}
}

func TestFieldsWithoutAValueAreLeftOut(t *testing.T) {
	_, _, data, err := book.Aggregate.Definition().EncodeEvent(book.Registered{})
	if err != nil || string(data) != leastJSON {
		t.Errorf("stored as %s (%v)\nwant %s", data, err, leastJSON)
	}
}

func TestStoredEventsOfOtherVersionsAreRead(t *testing.T) {
	d := book.Aggregate.Definition()

	newer, err := d.DecodeEvent("Moved", 2, []byte(`{"shelf":{"row":3,"lamp":true},"by":"cart"}`))
	if want := (book.Moved{Shelf: shelves.Shelf{Row: 3}}); err != nil || !reflect.DeepEqual(newer, []any{want}) {
		t.Errorf("with unknown and absent fields: %#v (%v), want %#v", newer, err, want)
	}

	older, err := d.DecodeEvent("Moved", 1, []byte(`{"row":7}`))
	if want := (book.Moved{Shelf: shelves.Shelf{Room: shelves.Cellar, Row: 7}}); err != nil || !reflect.DeepEqual(older, []any{want}) {
		t.Errorf("through the upcaster: %#v (%v), want %#v", older, err, want)
	}

	if _, err := d.DecodeEvent("Moved", 3, []byte(`{}`)); !errors.Is(err, es.ErrUnknownType) {
		t.Errorf("a version to come: %v, want ErrUnknownType", err)
	}
}

// The seals let more than members through: nil, pointers, and what embeds one.
func TestWhatIsNoMemberIsNotEncoded(t *testing.T) {
	type disguised struct{ book.Registered }
	d := book.Aggregate.Definition()
	for _, e := range []book.Event{nil, &book.Registered{}, disguised{}} {
		if _, _, _, err := d.EncodeEvent(e); err == nil || !strings.HasSuffix(err.Error(), "is not an event of Library.PrintedBook") {
			t.Errorf("%T: %v", e, err)
		}
	}
	if _, _, err := d.EncodeCommand(&book.Retire{}); err == nil || !strings.HasSuffix(err.Error(), "is not a command of Library.PrintedBook") {
		t.Error(err)
	}
}

func TestCommandsAreSentAndReadBack(t *testing.T) {
	d := book.Aggregate.Definition()
	for _, c := range []struct {
		command book.Command
		name    string
		data    string
	}{
		{book.Register(full), "Register", fullJSON},
		{book.Move{Shelf: full.Shelf}, "Move", `{"shelf":{"room":"reading-room","row":-128}}`},
		{book.Retire{}, "Retire", `{}`},
	} {
		name, data, err := d.EncodeCommand(c.command)
		if err != nil || name != c.name || string(data) != c.data {
			t.Errorf("%T is sent as %s %s (%v)\nwant %s %s", c.command, name, data, err, c.name, c.data)
		}
		back, err := d.ReadCommand(name, data)
		if err != nil || !reflect.DeepEqual(back, c.command) {
			t.Errorf("%s is read back as %#v (%v), want %#v", name, back, err, c.command)
		}
	}
}

func TestCommandsAreHeldToTheirShape(t *testing.T) {
	for _, c := range []struct{ name, body, problem string }{
		{"Move", `{}`, "/shelf is missing"},
		{"Move", `{"shelf":{"room":"cellar"}}`, "/shelf/row is missing"},
		{"Move", `{"shelf":{"room":"cellar","row":128}}`, "/shelf/row must be a whole number of at most 8 bits"},
		{"Move", `{"shelf":{"room":"cellar","row":1,"lamp":true}}`, "/shelf/lamp is not a field of this command"},
		{"Move", `{"shelf":{"room":"attic","row":1}}`, "/shelf/room must be one of reading-room, cellar"},
		{"Retire", `{"why":"old"}`, "/why is not a field of this command"},
		{"Register", strings.Replace(fullJSON, `"weight":0.1`, `"weight":1e300`, 1), "/weight must be a number"},
		{"Register", strings.Replace(fullJSON, `"year":1965`, `"year":65536`, 1), "/year must be a whole number from 0, of at most 16 bits"},
		{"Register", strings.Replace(fullJSON, `"year":1965`, `"year":1449`, 1), "/year must be at least 1450, is 1449"},
		{"Register", strings.Replace(fullJSON, `"weight":0.1`, `"weight":-0.1`, 1), "/weight must be at least 0, is -0.1"},
		{"Register", strings.Replace(fullJSON, `"weight":0.1`, `"weight":99.75`, 1), "/weight must be at most 99.5, is 99.75"},
		{"Register", strings.Replace(fullJSON, `"price":9.99`, `"price":0.4999`, 1), "/price must be at least 0.5, is 0.4999"},
		{"Register", strings.Replace(fullJSON, `"price":9.99`, `"price":1000.01`, 1), "/price must be at most 1000, is 1000.01"},
		{"Register", strings.Replace(fullJSON, `"pages":-1`, `"pages":-2`, 1), "/chapters/1/pages must be at least -1, is -2"},
		{"Register", strings.Replace(fullJSON, `[1,2]`, `[1,"2"]`, 1), "/grid/0/1 must be a whole number of at most 64 bits"},
		{"Register", strings.Replace(fullJSON, `"Muad'Dib"`, `" "`, 1), "/chapters/1/title must have at least 1 characters, has 0"},
		{"Register", strings.Replace(fullJSON, `["cellar"]`, `["cellar","attic"]`, 1), "/rooms/1 must be one of reading-room, cellar"},
		{"Register", strings.Replace(fullJSON, `"Chilton"`, `"  "`, 1), "/publisher must have 1 to 50 characters, has 0"},
		{"Register", strings.Replace(fullJSON, `"worm"`, `"worm","heat"`, 1), "/tags must have at most 2 items, has 3"},
		{"Register", strings.Replace(fullJSON, `frank@example.com`, `frank`, 1), "/contact must be an e-mail address such as name@example.com, of at most 254 characters: it is not of that form"},
	} {
		_, err := book.Aggregate.Definition().ReadCommand(c.name, []byte(c.body))
		var problems *es.ValidationError
		if !errors.As(err, &problems) || err.Error() != c.problem {
			t.Errorf("%s %s: %v, want %s", c.name, c.body, err, c.problem)
		}
	}
}

func TestCommandsAreBroughtIntoTheirNormalForm(t *testing.T) {
	given := book.Register(full)
	given.Title, given.Publisher = " Dune ", "\tChilton\n"
	given.Tags = book.Tags{"sand", "worm", "sand"}
	given.Chapters = []book.Chapter{{Title: " Arrakis", Pages: 1}}

	got, err := book.Aggregate.Valid(given)

	want := book.Register(full)
	want.Title, want.Publisher = "Dune", "Chilton"
	want.Chapters = []book.Chapter{{Title: "Arrakis", Pages: 1}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("is %#v (%v), want %#v", got, err, want)
	}
	if given.Chapters[0].Title != " Arrakis" || len(given.Tags) != 3 {
		t.Error("the caller's lists were changed")
	}
}

func TestOptionalFieldsAreNotHeldToLimitsWhenAbsent(t *testing.T) {
	least := book.Register{Title: "Dune", Imprint: book.Imprint{Publisher: "C"}, Shelf: full.Shelf, Chapters: full.Chapters}
	if _, err := book.Aggregate.Valid(least); err != nil {
		t.Error(err)
	}
}

func TestCommandsSayWhoMaySendThem(t *testing.T) {
	want := map[string]es.Access{
		"Move": es.AllowGroups("Librarians"), "Register": es.AllowGroups("Librarians"), "Retire": es.AllowOwner(),
	}
	for _, c := range book.Aggregate.Definition().Commands {
		if !reflect.DeepEqual(c.Access, want[c.Name]) {
			t.Errorf("%s may be sent by %+v, want %+v", c.Name, c.Access, want[c.Name])
		}
		if c.Empty != (c.Name == "Retire") {
			t.Errorf("%s has no payload: %v", c.Name, c.Empty)
		}
	}
}

func TestCommandsSayWhatTheyAreFor(t *testing.T) {
	type what struct {
		help                          string
		creates, changes, destructive bool
	}
	want := map[string]what{
		"Register": {"Register puts a book on its shelf.", true, false, false},
		"Move":     {"Move puts it elsewhere.", true, true, false},
		"Retire":   {"Retire takes it away.", true, true, true},
	}
	for _, c := range book.Aggregate.Definition().Commands {
		if got := (what{c.Help, c.Creates, c.Changes, c.Destructive}); got != want[c.Name] {
			t.Errorf("%s is %+v, want %+v", c.Name, got, want[c.Name])
		}
	}
}

func TestRowsSayWhatTheyAreCalled(t *testing.T) {
	for model, want := range map[es.AnyReadModel]string{&book.Books: "title", &book.ShelvedBooks: ""} {
		if d := model.Definition(); d.Label != want {
			t.Errorf("rows of %s are called by their %q, want %q", d.Name, d.Label, want)
		}
	}
}

// shop is a plugin's reader for rules.
type shop struct {
	es.Reader
	book book.State
}

func (s shop) Caller() es.Caller { return es.Caller{User: "u1"} }
func (s shop) Load(context.Context, string, string) (es.Loaded, error) {
	return es.Loaded{State: s.book, Version: 1}, nil
}

func TestRulesOfSomeCommandsAreFound(t *testing.T) {
	ctx, r := context.Background(), shop{book: book.State{Shelf: full.Shelf}}
	d := book.Aggregate.Definition()

	if err := d.Check(ctx, r, book.Move{Shelf: full.Shelf}, es.Meta{}); !errors.Is(err, book.ErrShelfTaken) {
		t.Errorf("check of Move: %v, want ErrShelfTaken", err)
	}
	if err := d.Check(ctx, r, book.Register(full), es.Meta{}); err != nil {
		t.Errorf("Register has no check: %v", err)
	}
	sunday := time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC)
	if err := d.Check(ctx, r, book.Retire{}, es.Meta{Time: sunday}); !errors.Is(err, book.ErrSunday) || !d.ByMeta {
		t.Errorf("check of Retire on a Sunday: %v, by metadata: %v", err, d.ByMeta)
	}
	if owner, err := d.Owner(ctx, r, book.Register(full)); owner != "Chilton" || err != nil {
		t.Errorf("owner of what Register makes: %s (%v), want Chilton", owner, err)
	}
	if owner, err := d.Owner(ctx, r, book.Move{}); owner != "u1" || err != nil {
		t.Errorf("owner of what Move makes: %s (%v), want the caller", owner, err)
	}
	if !d.InPlace || d.Internal || d.Name != "Library.PrintedBook" {
		t.Errorf("in place: %v, internal: %v, name: %s", d.InPlace, d.Internal, d.Name)
	}
}

func TestRowsAreStoredAndReadBack(t *testing.T) {
	for _, c := range []struct {
		model es.AnyReadModel
		row   any
		data  string
	}{
		{book.Books, book.Card{Title: "Dune", Room: shelves.Cellar}, `{"title":"Dune","room":"cellar"}`},
		{book.ShelvedBooks, book.Shelved{Shelf: shelves.Shelf{Room: shelves.Cellar, Row: 1}}, `{"shelf":{"room":"cellar","row":1}}`},
	} {
		d := c.model.Definition()
		data, err := d.Encode(c.row)
		if err != nil || string(data) != c.data {
			t.Errorf("a row of %s is stored as %s (%v), want %s", d.Name, data, err, c.data)
		}
		back, err := d.Decode(data)
		if err != nil || back != c.row {
			t.Errorf("a row of %s is read back as %#v (%v), want %#v", d.Name, back, err, c.row)
		}
		if _, err := d.Decode([]byte(`{"title":1,"shelf":2}`)); err == nil {
			t.Errorf("a damaged row of %s is read", d.Name)
		}
	}
}

func TestSchemasAreOfWhatIsSentAndStored(t *testing.T) {
	type property struct {
		Type, Format, Title, Description, Pattern string
		MinLength, MaxLength, MinItems, MaxItems  *int
		Minimum, Maximum, MultipleOf              json.Number
		Enum                                      []string
		Items                                     *property
		Properties                                map[string]property
		Required                                  []string
		AdditionalProperties                      *bool
	}
	number := func(n int) *int { return &n }
	var schema property
	d := book.Aggregate.Definition()
	for _, c := range d.Commands {
		if c.Name == "Register" {
			if err := json.Unmarshal(c.Schema, &schema); err != nil {
				t.Fatal(err)
			}
		}
	}
	if schema.Type != "object" || schema.Description != "Register puts a book on its shelf." || schema.AdditionalProperties == nil || *schema.AdditionalProperties {
		t.Errorf("the schema begins %+v", schema)
	}
	if want := []string{"title", "publisher", "shelf", "chapters", "rooms", "uiBundleId", "weight", "lent", "boughtAt", "grid"}; !reflect.DeepEqual(schema.Required, want) {
		t.Errorf("required is %v, want %v", schema.Required, want)
	}
	for name, want := range map[string]property{
		"title":      {Type: "string", Description: "Title is how it is listed.", MinLength: number(1), MaxLength: number(20), Pattern: `\S`},
		"year":       {Type: "integer", Title: "Published in", Minimum: "1450", Maximum: "65535"},
		"contact":    {Type: "string", Format: "email", MinLength: number(1)},
		"tags":       {Type: "array", MaxItems: number(2), Items: &property{Type: "string"}},
		"rooms":      {Type: "array", Items: &property{Type: "string", Enum: []string{"reading-room", "cellar"}}},
		"uiBundleId": {Type: "string", Description: "\"as in the manifest\", with a `backquote`"},
		"lent":       {Type: "boolean"},
		"weight":     {Type: "number", Minimum: "0", Maximum: "99.5"},
		"price":      {Type: "number", Format: "price", Minimum: "0.5", Maximum: "1000", MultipleOf: "0.0001", Description: "an exact decimal with at most 4 digits after the point"},
		"boughtAt":   {Type: "string", Format: "date-time"},
		"grid":       {Type: "array", Items: &property{Type: "array", Items: &property{Type: "integer", Minimum: "-9223372036854775808", Maximum: "9223372036854775807"}}},
	} {
		if got := schema.Properties[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
	if row := schema.Properties["shelf"].Properties["row"]; row.Description != "counted from the door" || row.Minimum != "-128" {
		t.Errorf("what is nested is %+v", row)
	}
	for _, e := range d.Events {
		if strings.Contains(string(e.Schema), "Length") || strings.Contains(string(e.Schema), "1450") || !json.Valid(e.Schema) {
			t.Errorf("the schema of what is stored has limits, or is no JSON: %s", e.Schema)
		}
	}
}
