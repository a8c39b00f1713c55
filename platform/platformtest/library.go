package platformtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"onlineshop/es"
	"onlineshop/es/wire"
)

// Library is two small plugins that have one component of each kind that a
// platform carries. Its domain swallows nothing: a command that takes effect
// twice leaves two events.
//
//	Lending: Book, Rating, Reader; Probe and Blank, which nothing is connected to
//	         mapping Remind: Book.Lent → Reader.Note
//	         point Lending.Books: Book.Lent → BookLent
//	         read models Books (Book), Shelf (Book, Rating), Probes (Blank)
//	         side effect Congratulate on Book.Lent
//	Press:   Article
//	         extension Books_Extension: BookLent → Article.Mention
//
// Its later version has more that acts on the same events:
//
//	Lending: mapping Recall: Book.Lent → Reader.Note
//	         mapping Recount: the same, from the beginning
//	         side effect Applaud on Book.Lent
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
	probeName   = "Lending.Probe"
	articleName = "Press.Article"
	booksView   = "Lending.Books"
	shelfView   = "Lending.Shelf"
	probesView  = "Lending.Probes"
	remind      = "mapping:Lending.Remind"
	mention     = "extension:Press.Books_Extension"
)

// note is the one command and event that all aggregates here have, so that
// their codecs are one: Kind tells them apart.
type note struct {
	Kind string `json:"-"`
	Text string `json:"text"`
}

// state is the events so far.
type state struct{ Notes []note }

// aggregate is one with commands that give the event of the same place. Only the
// first may come first, and it only there, where there are several.
func aggregate(name string, internal bool, access es.Access, kinds ...[2]string) es.Aggregate[note, note, state] {
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
	}
	for _, k := range kinds {
		r.Commands = append(r.Commands, es.CommandType[note]{Name: k[0], Schema: "{}", Read: readNote(k[0])})
		r.Events = append(r.Events, es.EventType[note]{Name: k[1], Version: 1, Schema: "{}", Read: readNote(k[1])})
	}
	return es.NewAggregate(r)
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
	rating  = aggregate(ratingName, false, es.AllowSignedIn(), [2]string{"Rate", "Rated"})
	reader  = aggregate(readerName, true, es.AllowSignedIn(), [2]string{"Note", "Noted"})
	probe   = aggregate(probeName, false, es.AllowSignedIn(), [2]string{"Probe", "Probed"})
	blank   = aggregate("Lending.Blank", true, es.AllowSignedIn(), [2]string{"Fill", "Filled"})
	article = aggregate(articleName, true, es.AllowSignedIn(), [2]string{"Mention", "Mentioned"})
)

// lent is what the library tells the press.
type lent struct {
	Book string `json:"book"`
	To   string `json:"to"`
}

var books = es.NewPoint(es.PointRules[lent]{
	Name: "Lending.Books",
	Key:  func(l lent) string { return l.Book },
	Events: []es.EventType[lent]{{Name: "BookLent", Version: 1, Schema: "{}", Read: func(v wire.Value) lent {
		f := v.Fields()
		defer f.Done()
		return lent{f.Field("book").String(), f.Field("to").String()}
	}}},
	Wire: func(l lent) (string, int, []byte, error) {
		b, err := json.Marshal(l)
		return "BookLent", 1, b, err
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
func (bookRow) JSONSchema() string { return `{"type":"object"}` }

// probeRow is a row of Probes.
type probeRow struct {
	Color string `json:"color,omitempty"`
}

// JSONSchema implements [es.View].
func (probeRow) JSONSchema() string { return `{"type":"object"}` }

// fail panics, as broken code does.
func (l Library) fail(e note) {
	if e.Text == Cursed && l.UnderACurse() {
		panic("there is a curse on it")
	}
}

func (l Library) bookEvents(e note) es.Change[bookRow] {
	l.fail(e)
	switch e.Kind {
	case "Acquired":
		return es.Set(bookRow{Title: e.Text})
	case "Lent":
		return es.Update(func(r bookRow) bookRow { r.Holder, r.Loans = e.Text, r.Loans+1; return r })
	}
	return nil
}

func (l Library) congratulate(_ context.Context, _ es.Reader, e es.Recorded[note]) error {
	if e.Event.Kind == "Lent" {
		l.Congratulate(e.ID, e.Version)
	}
	return nil
}

func (l Library) applaud(_ context.Context, _ es.Reader, e es.Recorded[note]) error {
	if e.Event.Kind == "Lent" {
		l.Congratulate("applause for "+e.ID, e.Version)
	}
	return nil
}

// tell is a mapping that notes each loan with a reader of its own.
func tell(name, prefix string) es.Mapping {
	return es.NewMapping(name, book, reader, func(id string, e note) es.Commands[note] {
		if e.Kind != "Lent" {
			return nil
		}
		return reader.Send(prefix+e.Text, note{"Note", id})
	})
}

// Plugins are the library's.
func (l Library) Plugins() []es.Plugin {
	all := l.plugins()
	if l.Later {
		lending := &all[0]
		lending.Mappings = append(lending.Mappings, tell("Recall", "recalled-"), tell("Recount", "recounted-").FromBeginning())
		lending.Tasks[0].SideEffects = append(lending.Tasks[0].SideEffects, es.NewSideEffect("Applaud", book, l.applaud))
	}
	return all
}

func (l Library) plugins() []es.Plugin {
	return []es.Plugin{{
		Name:       "Lending",
		Aggregates: []es.AnyAggregate{book, rating, reader, probe, blank},
		ReadModels: []es.AnyReadModel{
			es.NewReadModel("Books", es.From(book, l.bookEvents)).By("holder").Allow(es.AllowOwner(es.Admin)),
			es.NewReadModel("Shelf", es.From(book, l.bookEvents), es.From(rating, func(e note) es.Change[bookRow] {
				return es.Update(func(r bookRow) bookRow { r.Stars += len(e.Text); return r })
			})),
			es.NewReadModel("Probes", es.From(blank, func(e note) es.Change[probeRow] {
				return es.Set(probeRow{e.Text})
			})).By("color").Allow(es.AllowOwner(es.Admin)),
		},
		Mappings: []es.Mapping{es.NewMapping("Remind", book, reader, func(id string, e note) es.Commands[note] {
			if e.Kind != "Lent" {
				return nil
			}
			l.fail(e)
			return reader.Send(e.Text, note{"Note", id})
		})},
		Publications: []es.Publication{es.Publish(book, books, func(id string, e note) []lent {
			if e.Kind != "Lent" {
				return nil
			}
			l.fail(e)
			return []lent{{id, e.Text}}
		})},
		Tasks: []es.Task{{Name: "Congratulations", SideEffects: []es.SideEffect{
			es.NewSideEffect("Congratulate", book, l.congratulate),
		}}},
	}, {
		Name:       "Press",
		Aggregates: []es.AnyAggregate{article},
		Extensions: []es.Extension{es.NewExtension("Books_Extension", books, article, func(e lent) es.Commands[note] {
			return article.Send(e.Book, note{"Mention", e.To})
		})},
	}}
}
