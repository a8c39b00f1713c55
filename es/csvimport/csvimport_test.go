package csvimport

import (
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"onlineshop/es"
	"onlineshop/es/estest"
	"onlineshop/es/wire"
)

// A good is there once it was listed, and not listed twice with other words.
type (
	list struct {
		Name       string   `json:"name"`
		Text       string   `json:"description"`
		Price      es.Price `json:"price"`
		Stock      int64    `json:"stock"`
		CategoryID string   `json:"categoryId,omitempty"`
	}
	listed list
	state  struct{ listed *list }
)

var (
	errListed  = es.Conflict("GoodListed")
	errNoShelf = es.NotFound("ShelfNotFound")
	good       = es.NewAggregate(es.AggregateRules[list, listed, state]{
		Name: "Test.Good", Sources: "1",
		Decide: func(c list, s state) ([]listed, error) {
			switch {
			case s.listed != nil:
				return nil, errListed
			case c.CategoryID == "none":
				return nil, errNoShelf
			case c.Stock == 0:
				return nil, nil
			}
			return []listed{listed(c)}, nil
		},
		Evolve: func(e listed, _ state) state { return state{(*list)(&e)} },
		Valid: func(c list, p *es.ValidationError) list {
			c.Name = wire.Trim(c.Name)
			p.Length("/name", c.Name, 1, 20)
			p.Length("/categoryId", c.CategoryID, 0, 5)
			if strings.Contains(c.Text, "secret") {
				p.Add("/other", "must not tell")
			}
			return c
		},
		Commands: []es.CommandType[list]{{Name: "List", Schema: "{}"}},
		Events: []es.EventType[listed]{{Name: "Listed", Version: 1, Schema: "{}", Read: func(v wire.Value) (e listed) {
			f := v.Fields()
			defer f.Done()
			return listed{f.Field("name").String(), f.Field("description").String(), wire.Parse(f.Field("price"), es.ParsePrice), f.Field("stock").Int(64), f.Optional("categoryId").String()}
		}}},
		Encode: func(c list) (string, []byte, error) {
			b, err := json.Marshal(c)
			return "List", b, err
		},
		Wire: func(e listed) (string, int, []byte, error) {
			b, err := json.Marshal(e)
			return "Listed", 1, b, err
		},
	})
)

type goodRow struct {
	Name  string   `csv:"name" also:"title"`
	Text  string   `csv:"description"`
	Price es.Price `csv:"price"`
	Stock int64    `csv:"stock,optional" also:"in stock"`
	SKU   string   `csv:"sku,key,optional" also:"article"`
	Shelf string   `csv:"categoryId,trim,optional"`
}

var goods = New("ImportGoods", "GoodImport", good, func(r goodRow) list {
	return list{r.Name, r.Text, r.Price, r.Stock, r.Shelf}
}).Unchanged(errListed, func(s state, c list) bool { return *s.listed == c }).
	Verdicts(func(r goodRow, err error) *es.Rejection {
		if r.Shelf != "" && errNoShelf.Is(err) {
			return errNoShelf.Because("there is no shelf %s", Quoted(r.Shelf))
		}
		if errListed.Is(err) {
			return errListed.Because("%s is another good", r.SKU)
		}
		return nil
	}).Refers("categoryId", errNoShelf)

func goodsShop(t testing.TB) *estest.Shop { return estest.NewShop(t, good, goods.Aggregate()) }

// outcomes are what an import of the file would make of its rows, and why not at all.
func outcomes(t *testing.T, content string) (rows []string, refused string) {
	t.Helper()
	c, err := goods.Task().Check(t.Context(), estest.NewObject("goods.csv", "1", content).Object, goodsShop(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Rows {
		rows = append(rows, strings.TrimSpace(fmt.Sprint(r.Line, " ", r.Outcome, " ", r.Reason)))
	}
	return rows, c.Refused
}

func TestARowIsACommand(t *testing.T) {
	// Given a file with a row for each thing that can happen to one
	rows, refused := outcomes(t, "article,TITLE,price,description,In stock,categoryId\n"+
		"a,Pen,1,,7,\na,Pen,1.00,,7,\na,Pen,2,,7,\nb,Cup,1,,many,\nc,Cup,x,,1,\nd,,x,,1,\ne,Cup,1,,1, none \nf,Cup,1,,1,longer\n"+
		",Bag,1,,1,\n,Bag,1,,1,\ng,Bag,1,a secret,1,\nh,Fog,1,,,\n")
	// Then each is what the aggregate says, or else the first thing that is wrong
	want := []string{
		"2 added", "3 unchanged", "4 GoodListed a is another good", `5 InvalidStock stock "many" must be a whole number`,
		`6 InvalidPrice price "x" ` + es.ErrPrice.Error(), "7 InvalidName name must have 1 to 20 characters, has 0",
		`8 ShelfNotFound there is no shelf "none"`, `9 ShelfNotFound there is no shelf "longer"`, "10 added", "11 unchanged",
		"12 InvalidRow /other must not tell", "13 unchanged",
	}
	if d := cmp.Diff(want, rows); d != "" || refused != "" {
		t.Errorf("%q, rows (-want +got):\n%s", refused, d)
	}
}

func TestWhatTheDomainRejectsIsAboutTheRow(t *testing.T) {
	// Given an import that says nothing of rejections
	plain := goods
	plain.verdict, plain.exists = nil, nil
	shop := goodsShop(t)
	file := estest.NewObject("goods.csv", "1", "name,description,price,stock,sku\nPen,,1,1,a\nCup,,1,1,a\n")
	// When a row is rejected
	if err := plain.Task().OnObject(t.Context(), file.Object, shop); err != nil {
		t.Fatal(err)
	}
	// Then the others are in, and the report has it
	if want := "line,code,reason\n3,GoodListed,GoodListed\n"; file.Report() != want {
		t.Errorf("the report is %q, want %q", file.Report(), want)
	}
}

func TestATypeThatIsNoRowIsFoundAtOnce(t *testing.T) {
	type (
		untagged struct{ Name string }
		unknown  struct {
			Name string `csv:"name,often"`
		}
		mistyped struct {
			Size float64 `csv:"size"`
		}
		twice struct {
			A string `csv:"name"`
			B string `csv:"name"`
		}
		keyless struct {
			ID string `csv:"id,key"`
		}
	)
	const kinds = ": a column is a string, an es.Price, an int or an int64, and a key a string, with a tag such as `csv:\"name\"`"
	for want, row := range map[string]any{
		"field Name of csvimport.untagged" + kinds:                                                        untagged{},
		"field Size of csvimport.mistyped" + kinds:                                                        mistyped{},
		`field Name of csvimport.unknown: a column can be key, optional or trim, not "often"`:             unknown{},
		"field B of csvimport.twice: there are two columns name":                                          twice{},
		"csvimport.keyless has 1 columns and 1 keys: it needs a column that is none, and at most one key": keyless{},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("it panics with %v, want %s", got, want)
				}
			}()
			columnsOf(reflect.TypeOf(row))
		})
	}
}

func TestAKeyThatIsNotOptionalIsInEachRow(t *testing.T) {
	type stocked struct {
		Stock int    `csv:"stock"`
		SKU   string `csv:"sku,key"`
	}
	counts := New("ImportCounts", "CountImport", good, func(r stocked) list { return list{Name: "x", Stock: int64(r.Stock)} })
	c, err := counts.Task().Check(t.Context(), estest.NewObject("counts.csv", "1", "sku,stock\na, 3 \n,4\nb,1.5\n").Object, estest.NewShop(t, good, counts.Aggregate()))
	want := []es.CheckedRow{
		{Line: 2, Outcome: es.RowAdded}, {Line: 3, Outcome: "InvalidId", Reason: `"" is not an id: ` + es.IDRule},
		{Line: 4, Outcome: "InvalidStock", Reason: `stock "1.5" must be a whole number`},
	}
	if d := cmp.Diff(want, c.Rows); err != nil || c.Refused != "" || d != "" {
		t.Errorf("%v, %q, rows (-want +got):\n%s", err, c.Refused, d)
	}
}

func TestTheNamesOfAnImport(t *testing.T) {
	task := goods.Task()
	got := []string{task.Name, task.Bucket, goods.Aggregate().Name(), goods.View().Name()}
	if d := cmp.Diff([]string{"ImportGoods", "good-imports", "Test.GoodImport", "GoodImports"}, got); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	_, refused := outcomes(t, "name,price\n")
	if want := "the header row lacks description: the columns name, description and price are needed; it was read as separated by commas, in UTF-8, with the columns name, price"; refused != want {
		t.Errorf("refused because %q, want %q", refused, want)
	}
}

// FuzzWrite: what is written is read again, to the letter, whatever the cells.
func FuzzWrite(f *testing.F) {
	f.Add("Mug", "For tea, or \"coffee\"", "a1")
	f.Add("=1+1", "- one\r\n- two\n'=x\r", "-5")
	f.Add("Ümläut 🍵", "a,b,c,d,e,f\n,,,,,\n\"", "")
	f.Add("'", "'\t", "~")
	f.Fuzz(func(t *testing.T, name, text, sku string) {
		// Given rows that a good's rules accept
		row := goodRow{Name: wire.Trim(name), Text: text, Price: es.MustPrice("12.5"), Stock: 3, SKU: sku}
		var p es.ValidationError
		p.Length("/name", row.Name, 1, 20)
		p.Length("/description", row.Text, 0, 10_000)
		if p.Err() != nil || sku != "" && !es.ValidID(sku) || strings.Contains(text, "secret") || !utf8.ValidString(name) || !utf8.ValidString(text) {
			t.Skip("no good is called so")
		}
		// When they are written, and imported
		var b strings.Builder
		other := goodRow{Name: "Other", Price: es.MustPrice("1"), Stock: 1, SKU: "other-1"}
		rows := iter.Seq2[goodRow, error](func(yield func(goodRow, error) bool) { _ = yield(row, nil) && yield(other, nil) })
		if err := goods.Write(&b, rows); err != nil {
			t.Fatal(err)
		}
		shop, file := goodsShop(t), estest.NewObject("goods.csv", "1", b.String())
		if err := goods.Task().OnObject(t.Context(), file.Object, shop); err != nil {
			t.Fatal(err)
		}
		// Then they are what they were
		id := sku
		if id == "" {
			id = derivedID(row.Name, strings.TrimSpace(text), "12.5", "3", "")
		}
		s, err := good.State(t.Context(), shop, id)
		if want := (list{row.Name, text, row.Price, 3, ""}); err != nil || s.listed == nil || *s.listed != want {
			t.Fatalf("%+v, %v, want %+v; the file is\n%s\nthe report\n%s", s.listed, err, want, b.String(), file.Report())
		}
	})
}
