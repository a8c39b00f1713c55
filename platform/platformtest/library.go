package platformtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"onlineshop/es"
	"onlineshop/es/wire"
)

// Library is two small plugins that have one component of each kind that a
// platform carries. Its domain swallows nothing: a command that takes effect
// twice leaves two events.
//
//	Lending: Book, Rating, Reader, Seat; Probe and Blank, which nothing is connected to;
//	         Member, whose names are personal until it has gone
//	         mapping Remind: Book.Lent → Reader.Note
//	         mapping Reserve: Book.Lent to somebody who sits → Seat.Take, if refused → Reader.Note
//	         point Lending.Books: Book.Lent → BookLent, Rating.Rated → BookRated
//	         read models Books (Book), Shelf (Book, Rating), Probes (Blank),
//	         Words (rows below Book), Holders (keyed, of parts of Book)
//	         read models Members (Member), Moves (rows below Member)
//	         side effect Welcome on Member.Joined, which tells the name
//	         side effect Congratulate on Book.Lent, which reads Shelf
//	         schedule Stock.Nightly, which reads Probes and lists Blank → Reader.Note
//	         accepts Copies: CopyWanted → Reader.Note
//	         bucket lists: what is put there → Reader.Note, and a copy in the bucket copies
//	Press:   Article
//	         extension Books_Extension: BookLent, BookRated → Article.Mention
//	         asks Lending.Books: Article.Mentioned of what is wanted → CopyWanted
//	         side effect Announce on BookLent, BookRated
//
// Its later version has more that acts on the same events:
//
//	Lending: mapping Recall: Book.Lent → Reader.Note
//	         mapping Recount: the same, from the beginning
//	         side effect Applaud on Book.Lent
//	Press:   side effect Headline on BookLent, BookRated
type Library struct {
	World
	Later bool
}

// LaterVariable is the environment variable that makes the library's deployed
// functions those of the later version.
const LaterVariable = "LIBRARY_LATER"

// Cursed is who must not borrow a book while there is a curse.
const Cursed = "cursed"

// Names of what the library has.
const (
	bookName    = "Lending.Book"
	ratingName  = "Lending.Rating"
	readerName  = "Lending.Reader"
	seatName    = "Lending.Seat"
	probeName   = "Lending.Probe"
	articleName = "Press.Article"
	memberName  = "Lending.Member"
	membersView = "Lending.Members"
	movesView   = "Lending.Moves"
	erasure     = "erasure:Lending.Member"
	welcome     = "effect:Lending.Welcome"
	booksView   = "Lending.Books"
	shelfView   = "Lending.Shelf"
	probesView  = "Lending.Probes"
	wordsView   = "Lending.Words"
	holdersView = "Lending.Holders"
	remind      = "mapping:Lending.Remind"
	reserve     = "mapping:Lending.Reserve"
	mention     = "extension:Press.Books_Extension"
	nightly     = "Lending.Stock.Nightly"
	copies      = "extension:Lending.Copies"
	announce    = "effect:Press.Announce"
)

// note is the one command and event that all aggregates here have, so that
// their codecs are one: Kind tells them apart.
type note struct {
	Kind string `json:"-"`
	Text string `json:"text"`
}

const noteSchema = `{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}`

// state is the events so far.
type state struct{ Notes []note }

// aggregate is one with commands that give the event of the same place. Only the
// first may come first, and it only there, where there are several.
func aggregate(name string, internal bool, access es.Access, kinds ...[2]string) es.Aggregate[note, note, state] {
	return es.NewAggregate(rules(name, internal, access, kinds...))
}

func rules(name string, internal bool, access es.Access, kinds ...[2]string) es.AggregateRules[note, note, state] {
	r := es.AggregateRules[note, note, state]{
		Name: name, Sources: "1", Internal: internal, Access: access,
		Decide: func(c note, s state) ([]note, error) {
			for i, k := range kinds {
				if k[0] != c.Kind {
					continue
				}
				if len(kinds) > 1 && (i == 0) != (len(s.Notes) == 0) {
					return nil, es.Conflict(strings.TrimPrefix(name, "Lending.") + "NotInOrder")
				}
				if c.Text == "" {
					return nil, nil
				}
				return []note{{k[1], c.Text}}, nil
			}
			return nil, fmt.Errorf("%s has no rule for %q", name, c.Kind)
		},
		Evolve: func(e note, s state) state { return state{append(s.Notes[:len(s.Notes):len(s.Notes)], e)} },
		Encode: func(c note) (string, []byte, error) {
			b, err := json.Marshal(c)
			return c.Kind, b, err
		},
		Wire: func(e note) (string, int, []byte, error) {
			b, err := json.Marshal(e)
			return e.Kind, 1, b, err
		},
		// Of an earlier version: one event for what are several today.
		Upcast: es.Upcasters[note]{es.UpcastMany("Several", 1, func(old struct{ Texts []string }) (today []note) {
			for _, text := range old.Texts {
				today = append(today, note{kinds[0][1], text})
			}
			return today
		})},
	}
	for _, k := range kinds {
		r.Commands = append(r.Commands, es.CommandType[note]{Name: k[0], Schema: noteSchema, Zero: note{k[0], "x"}, Read: readNote(k[0])})
		r.Events = append(r.Events, es.EventType[note]{Name: k[1], Version: 1, Schema: noteSchema, Read: readNote(k[1])})
	}
	return r
}

func readNote(kind string) func(wire.Value) note {
	return func(v wire.Value) note {
		f := v.Fields()
		defer f.Done()
		return note{kind, f.Field("text").String()}
	}
}

var (
	book = aggregate(bookName, false, es.AllowSignedIn(),
		[2]string{"Acquire", "Acquired"}, [2]string{"Lend", "Lent"})
	rating = aggregate(ratingName, false, es.AllowSignedIn(), [2]string{"Rate", "Rated"})
	reader = aggregate(readerName, true, es.AllowSignedIn(), [2]string{"Note", "Noted"})
	probe  = aggregate(probeName, false, es.AllowSignedIn(), [2]string{"Probe", "Probed"})
	blank  = aggregate("Lending.Blank", true, es.AllowSignedIn(), [2]string{"Fill", "Filled"})
	seat   = aggregate(seatName, true, es.AllowSignedIn(), [2]string{"Take", "Taken"}, [2]string{"Leave", "Left"})
	member = es.NewAggregate(func() es.AggregateRules[note, note, state] {
		r := rules(memberName, false, es.AllowSignedIn(), [2]string{"Join", "Joined"}, [2]string{"Move", "Moved"}, [2]string{"Go", "Gone"})
		for _, i := range []int{0, 1} { // Join and Move, and of the events, what is not Gone
			r.Commands[i].Personal, r.Events[i].Personal = []string{"text"}, []string{"text"}
		}
		r.Events[2].Erases = true
		return r
	}())
	article = aggregate(articleName, true, es.AllowSignedIn(), [2]string{"Mention", "Mentioned"})
)

// lent is what the library tells the press: of a rating, To is its stars.
type lent struct {
	Kind string `json:"-"`
	Book string `json:"book"`
	To   string `json:"to"`
}

func readLent(kind string) func(wire.Value) lent {
	return func(v wire.Value) lent {
		f := v.Fields()
		defer f.Done()
		return lent{kind, f.Field("book").String(), f.Field("to").String()}
	}
}

const lentSchema = `{"type":"object","properties":{"book":{"type":"string","x-ref":"Lending.Books"},"to":{"type":"string"}},"required":["book","to"],"additionalProperties":false}`

var books = es.NewPoint(es.PointRules[lent]{
	Name: "Lending.Books",
	Key:  func(l lent) string { return l.Book },
	Events: []es.EventType[lent]{
		{Name: "BookLent", Version: 1, Schema: lentSchema, Read: readLent("BookLent")},
		{Name: "BookRated", Version: 1, Schema: lentSchema, Read: readLent("BookRated")},
	},
	Wire: func(l lent) (string, int, []byte, error) {
		b, err := json.Marshal(l)
		return l.Kind, 1, b, err
	},
})

// requests are what the press may ask the library.
var requests = es.NewRequests(es.PointRules[lent]{
	Name:   "Lending.Books",
	Key:    func(l lent) string { return l.Book },
	Events: []es.EventType[lent]{{Name: "CopyWanted", Version: 1, Schema: lentSchema, Read: readLent("CopyWanted")}},
	Wire: func(l lent) (string, int, []byte, error) {
		b, err := json.Marshal(l)
		return l.Kind, 1, b, err
	},
})

// bookRow is a row of Books and Shelf.
type bookRow struct {
	Title  string `json:"title"`
	Holder string `json:"holder,omitempty"`
	Loans  int    `json:"loans"`
	Stars  int    `json:"stars,omitempty"`
}

// JSONSchema implements [es.View].
func (bookRow) JSONSchema() string {
	return `{"type":"object","properties":{"title":{"type":"string"},"holder":{"type":"string"},"loans":{"type":"integer"},"stars":{"type":"integer"}},"required":["title","loans"],"additionalProperties":false}`
}

// JSONLabel is the field that names a row for people.
func (bookRow) JSONLabel() string { return "title" }

// probeRow is a row of Probes.
type probeRow struct {
	Color string      `json:"color,omitempty"`
	Name  *string     `json:"name,omitempty"`
	Size  json.Number `json:"size,omitempty"`
	At    string      `json:"at,omitempty"`
	On    *bool       `json:"on,omitempty"`
}

// JSONSchema implements [es.View].
func (probeRow) JSONSchema() string {
	return `{"type":"object","properties":{"color":{"type":"string"},"name":{"type":"string"},"size":{"type":"number"},"at":{"type":"string","format":"date-time"},"on":{"type":"boolean"}},"additionalProperties":false}`
}

// memberRow is a row of Members, and of Moves.
type memberRow struct {
	Name  string `json:"name"`
	Moves int    `json:"moves"`
	Gone  bool   `json:"gone"`
}

// JSONSchema implements [es.View].
func (memberRow) JSONSchema() string {
	return `{"type":"object","properties":{"name":{"type":"string","x-personal":true},"moves":{"type":"integer"},"gone":{"type":"boolean"}},"required":["name","moves","gone"],"additionalProperties":false}`
}

func (l Library) memberEvents(r es.Recorded[note]) es.Change[memberRow] {
	if strings.HasPrefix(r.Event.Text, Cursed) && l.UnderACurse() {
		panic("there is a curse on " + r.Event.Text)
	}
	switch r.Event.Kind {
	case "Joined":
		return es.Set(memberRow{Name: r.Event.Text})
	case "Moved":
		return es.Update(func(m memberRow) memberRow { m.Name, m.Moves = r.Event.Text, m.Moves+1; return m })
	}
	return es.Update(func(m memberRow) memberRow { m.Gone = true; return m })
}

func moves(r es.Recorded[note]) (out es.Changes[memberRow]) {
	if r.Event.Kind == "Moved" {
		out = out.Set(strconv.FormatInt(r.Version, 10), memberRow{Name: r.Event.Text})
	}
	return out
}

func (l Library) welcome(ctx context.Context, r es.Reader, e es.Recorded[note]) error {
	if e.Event.Kind != "Joined" {
		return nil
	}
	now, err := member.State(ctx, r, e.ID)
	if err != nil {
		return err
	}
	if strings.HasPrefix(e.Event.Text, Cursed) {
		return fmt.Errorf("nobody welcomes %s", now.Notes[0].Text)
	}
	l.Congratulate("welcome "+e.ID, e.Version)
	return nil
}

// fail panics, as broken code does.
func (l Library) fail(e note) {
	if e.Text == Cursed && l.UnderACurse() {
		panic("there is a curse on it")
	}
}

func (l Library) bookEvents(r es.Recorded[note]) es.Change[bookRow] {
	e := r.Event
	l.fail(e)
	switch e.Kind {
	case "Acquired":
		return es.Set(bookRow{Title: e.Text})
	case "Lent":
		return es.Update(func(r bookRow) bookRow { r.Holder, r.Loans = e.Text, r.Loans+1; return r })
	}
	return nil
}

func (l Library) congratulate(ctx context.Context, r es.Reader, e es.Recorded[note]) error {
	if e.Event.Kind == "Lent" {
		l.Congratulate(e.ID, e.Version)
	}
	if e.Event.Kind == "Lent" && strings.HasPrefix(e.ID, "praised-") {
		row, found, err := l.shelf().Get(ctx, r, e.ID)
		if err != nil {
			return err
		}
		l.Congratulate(fmt.Sprintf("%s with %d loans: %t", row.Title, row.Loans, found), e.Version)
	}
	return nil
}

func (l Library) applaud(_ context.Context, _ es.Reader, e es.Recorded[note]) error {
	if e.Event.Kind == "Lent" {
		l.Congratulate("applause for "+e.ID, e.Version)
	}
	return nil
}

// tellOf is a side effect at the boundary, for each loan and rating that is published.
func (l Library) tellOf(name, what string) es.SideEffect {
	return es.NewBoundarySideEffect(name, books, func(_ context.Context, _ es.Reader, e es.Recorded[lent]) error {
		l.Congratulate(what+" of "+e.ID+" for "+e.Event.To, e.Version)
		return nil
	})
}

// tell is a mapping that notes each loan with a reader of its own.
func tell(name, prefix string) es.Mapping {
	return es.NewMapping(name, book, reader, func(e es.Recorded[note]) es.Commands[note] {
		if e.Event.Kind != "Lent" {
			return nil
		}
		return reader.Send(prefix+e.Event.Text, note{"Note", e.ID})
	})
}

// takeStock notes each occurrence with a reader of its own, the largest three of the
// probes in stock that have a size, and the blanks that were filled for it.
func takeStock(ctx context.Context, o es.Occurrence, s es.Shop) error {
	notes := []string{o.Schedule}
	for p, err := range probes.List(ctx, s, es.Query{By: "color", Is: "stocked", Sort: "-size", MoreThan: 0, Search: "tin", Limit: 3}) {
		if err != nil {
			return err
		}
		notes = append(notes, p.ID+" of "+p.Row.Size.String())
	}
	var filled []string
	for id, err := range blank.IDs(ctx, s) {
		if err != nil {
			return err
		}
		if strings.HasPrefix(id, "stocked-") {
			filled = append(filled, id)
		}
	}
	slices.Sort(filled)
	id := "stock-" + strconv.FormatInt(o.Planned.UnixMilli(), 10)
	for _, text := range append(notes, filled...) {
		out := s.Execute(ctx, es.TaskCommand{Command: reader.Command(id, note{"Note", text}), MessageID: o.MessageID(text)})
		if out[0].Err != nil {
			return out[0].Err
		}
	}
	return nil
}

// shelf has two sources.
func (l Library) shelf() es.ReadModel[bookRow] {
	return es.NewReadModel("Shelf", es.From(book, l.bookEvents), es.From(rating, func(e es.Recorded[note]) es.Change[bookRow] {
		return es.Update(func(r bookRow) bookRow { r.Stars += l.stars() * len(e.Event.Text); return r })
	}))
}

// stars is how many a rating has for each character.
func (l Library) stars() int {
	if l.Later {
		return 2
	}
	return 1
}

var probes = es.NewReadModel("Probes", es.From(blank, func(e es.Recorded[note]) es.Change[probeRow] {
	return es.Set(probeRow{Color: e.Event.Text})
})).By("color").Sort("size", "name", "at", "on").Search("name").Allow(es.AllowOwner(es.Admin))

// Plugins are the library's.
func (l Library) Plugins() []es.Plugin {
	all := l.plugins()
	if l.Later {
		lending := &all[0]
		lending.Mappings = append(lending.Mappings, tell("Recall", "recalled-"), tell("Recount", "recounted-").FromBeginning())
		lending.Tasks[0].SideEffects = append(lending.Tasks[0].SideEffects, es.NewSideEffect("Applaud", book, l.applaud))
		press := &all[1].Tasks[0]
		press.SideEffects = append(press.SideEffects, l.tellOf("Headline", "headline"))
	}
	return all
}

func (l Library) plugins() []es.Plugin {
	return []es.Plugin{{
		Name:       "Lending",
		Aggregates: []es.AnyAggregate{book, rating, reader, seat, probe, blank, member},
		ReadModels: []es.AnyReadModel{
			es.NewReadModel("Books", es.From(book, l.bookEvents)).By("holder").Allow(es.AllowOwner(es.Admin)),
			es.FoldedBy(l.shelf(), strconv.Itoa(l.stars())),
			probes,
			es.NewReadModel("Members", es.From(member, l.memberEvents)),
			es.NewReadModel("Moves", es.ItemsFrom(member, moves)),
			es.NewReadModel("Words", es.ItemsFrom(book, words)).By("holder").Sort("word").Search("word").Allow(es.AllowOwner(es.Admin)),
			es.NewReadModel[holdRow]("Holders", es.PartsFrom(book, holds)).Sum("books", "worth").First("least").Last("latest"),
		},
		Mappings: []es.Mapping{es.NewMapping("Remind", book, reader, func(e es.Recorded[note]) es.Commands[note] {
			if e.Event.Kind != "Lent" {
				return nil
			}
			l.fail(e.Event)
			return reader.Send(e.Event.Text, note{"Note", e.ID})
		}), es.NewMapping("Reserve", book, seat, func(e es.Recorded[note]) es.Commands[note] {
			if e.Event.Kind != "Lent" || !strings.HasPrefix(e.Event.Text, "sits-") {
				return nil
			}
			return seat.Send(e.Event.Text, note{"Take", e.ID})
		}).OnRejected(es.React(reader, func(r es.Rejected[note]) es.Commands[note] {
			return reader.Send("refused-"+r.Event.Text, note{"Note", r.ID + " is not read here: " + r.Code + " of " + r.Command.Aggregate})
		}))},
		Publications: []es.Publication{es.Publish(book, books, func(e es.Recorded[note]) []lent {
			if e.Event.Kind != "Lent" {
				return nil
			}
			l.fail(e.Event)
			return []lent{{"BookLent", e.ID, e.Event.Text}}
		}), es.Publish(rating, books, func(e es.Recorded[note]) []lent { return []lent{{"BookRated", e.ID, e.Event.Text}} })},
		Tasks: []es.Task{{Name: "Congratulations", SideEffects: []es.SideEffect{
			es.NewSideEffect("Congratulate", book, l.congratulate).Reads(l.shelf()),
			es.NewSideEffect("Welcome", member, l.welcome),
		}}, {Name: "Stock", Sends: []es.AnyAggregate{reader}, Reads: []es.Readable{probes, blank}, Schedules: []es.Schedule{
			{Name: "Nightly", Cron: "30 3 * * *", TimeZone: "Europe/London", Run: takeStock},
		}}, {Name: "Filing", Sends: []es.AnyAggregate{reader}, Buckets: []es.Bucket{
			{Name: listsBucket, OnCreated: fileList, OnRemoved: strikeList},
			{Name: copiesBucket, Read: true, Write: true},
		}}},
		Extensions: []es.Extension{es.Accept("Copies", requests, reader, func(e es.Recorded[lent]) es.Commands[note] {
			return reader.Send("copies-of-"+e.ID, note{"Note", e.Meta.Service + " wants one for " + e.Event.To})
		})},
	}, {
		Name: "Press",
		Publications: []es.Publication{es.Ask(article, requests, func(e es.Recorded[note]) []lent {
			if !strings.HasPrefix(e.ID, "wanted-") {
				return nil
			}
			return []lent{{"CopyWanted", e.ID, e.Event.Text}}
		})},
		Aggregates: []es.AnyAggregate{article},
		Tasks:      []es.Task{{Name: "Announcements", SideEffects: []es.SideEffect{l.tellOf("Announce", "announcement")}}},
		Extensions: []es.Extension{es.NewExtension("Books_Extension", books, article, func(e es.Recorded[lent]) es.Commands[note] {
			if e.Event.Kind == "BookRated" { // with what it knows of the command
				known := e.Meta.MessageID != "" && e.Meta.CorrelationID != "" && e.Meta.Time.Equal(e.Time)
				return article.Send("rated-"+e.ID, note{"Mention", fmt.Sprintf("%s in %s by %q: %t", e.Event.To, e.Meta.Service, e.Meta.User, known)})
			}
			return article.Send(e.ID, note{"Mention", e.Event.To})
		})},
	}}
}
