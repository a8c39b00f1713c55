package productimport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/csvimport/run"
	"onlineshop/es/estest"
	"onlineshop/plugins/catalog/internal/category"
	"onlineshop/plugins/catalog/internal/product"
	. "onlineshop/plugins/catalog/internal/productimport"
)

var (
	task = Products.Task()
	runs = Products.Aggregate()

	novel = product.Details{Name: "Novel", Description: "Long", Price: es.MustPrice("9.99")}
	books = category.Aggregate.Happened("books", category.Added{Name: "Books"})
	toys  = category.Aggregate.Happened("toys", category.Added{Name: "Toys"}, category.Archived{})
)

func TestAFileBecomesProducts(t *testing.T) {
	shop := newShop(t).Given(books)
	file := estest.NewObject("june.csv", "1", "\uFEFFPRICE , Id,Name,shelf,Description,CATEGORYID\r\n"+
		" 9.99 ,p1,Novel,7,Long,\r\n"+
		"\r\n"+
		"10,p2,\" Pen, \"\"blue\"\" \",,\"two\r\nlines \",books\r\n"+
		"   \r\n"+
		"0.5000,p3,Bag,,,")
	importFile(t, shop, file)
	shop.ThenHappened(
		added("p1", novel),
		added("p2", product.Details{Name: `Pen, "blue"`, Description: "two\nlines ", Price: es.MustPrice("10"), CategoryID: "books"}),
		added("p3", product.Details{Name: "Bag", Price: es.MustPrice("0.5")}),
		runs.Happened("june.csv",
			run.Started{ETag: file.ETag, Upload: "1", Size: file.Size},
			run.Progressed{Offset: file.Size, Line: 7, Rows: 3, Added: 3, Note: `columns that are not read: "shelf"`},
			run.Finished{}))
	thenImport(t, shop, "june.csv", run.Import{
		Status: run.StatusFinished, Size: file.Size, Offset: file.Size, Rows: 3, Added: 3,
		StartedAt: estest.At(2), FinishedAt: estest.At(7), Note: `columns that are not read: "shelf"`,
	})
	if file.Report() != "" {
		t.Errorf("nothing was rejected, but there is a report:\n%s", file.Report())
	}
}

func TestImportedProductsTellWhereTheyComeFrom(t *testing.T) {
	shop := newShop(t)
	importFile(t, shop, estest.NewObject("june.csv", "1", "id,name,description,price\np1,Novel,Long,9.99\n"))
	for _, e := range shop.History(product.Aggregate.Name(), "p1") {
		if e.Meta.User != "system" || e.Meta.CorrelationID != "june.csv" || !strings.HasSuffix(e.Meta.MessageID, "/2") {
			t.Errorf("got %+v, want user system, correlation id june.csv, and the line in the message id", e.Meta)
		}
	}
}

// Each wrong row is rejected on its own, with its line and a code.
func TestWrongRows(t *testing.T) {
	const header = "id,name,description,price,categoryId\n"
	long := func(n int) string { return strings.Repeat("ä", n) }
	for _, c := range []struct{ name, row, code, reason string }{
		{"too few columns", "p1,Novel,Long,9.99", "WrongColumnCount", "the row has 4 columns, the header 5"},
		{"too many columns", "p1,Novel,Long,9.99,,x", "WrongColumnCount", "the row has 6 columns, the header 5"},
		{"an open quote", `p1,"Novel,Long,9.99,`, "MalformedRow", "the row is not valid CSV: a quoted field is not closed, or continues after its closing quote"},
		{"a bare quote", `p1,6" nails,Long,9.99,`, "MalformedRow", "the row is not valid CSV: there is a quote inside a field that does not begin with one"},
		{"bad UTF-8", "p1,Nov\xe9l,Long,9.99,", "InvalidEncoding", "column 2 is not valid UTF-8: save the file as CSV in UTF-8, or say how it is encoded, as in shop import --encoding=windows-1252"},
		{"bad id", "p/1,Novel,Long,9.99,", "InvalidId", `"p/1" is not an id: ` + es.IDRule},
		{"dots as id", "..,Novel,Long,9.99,", "InvalidId", `".." is not an id: ` + es.IDRule},
		{"long id", strings.Repeat("p", 129) + ",Novel,Long,9.99,", "InvalidId", `"` + strings.Repeat("p", 99) + `…" is not an id: ` + es.IDRule},
		{"no name", "p1, ,Long,9.99,", "InvalidName", "name must have 1 to 200 characters, has 0"},
		{"long name", "p1," + long(201) + ",Long,9.99,", "InvalidName", "name must have at most 200 characters, has 201"},
		{"long description", "p1,Novel," + long(10_001) + ",9.99,", "InvalidDescription", "description must have at most 10000 characters, has 10001"},
		{"no price", "p1,Novel,Long,,", "InvalidPrice", `price "" ` + es.ErrPrice.Error()},
		{"negative price", "p1,Novel,Long,-1,", "InvalidPrice", `price "-1" ` + es.ErrPrice.Error()},
		{"price with a comma", `p1,Novel,Long,"9,99",`, "InvalidPrice", `price "9,99" must be a number such as 1234.50: write it without a separator between thousands, and with a point before the decimals`},
		{"unknown category", "p1,Novel,Long,9.99, none ", "CategoryNotFound", `there is no category "none"`},
		{"impossible category", "p1,Novel,Long,9.99," + strings.Repeat("c", 129), "CategoryNotFound", `there is no category "` + strings.Repeat("c", 99) + `…"`},
		{"archived category", "p1,Novel,Long,9.99,toys", "CategoryAlreadyArchived", `category "toys" is archived`},
		{"id in use", "taken,Novel,Long,9.99,", "ProductAlreadyExists", "product taken is already there with other details"},
		{"the first thing wrong counts", "p/1,,Long,x,none", "InvalidId", `"p/1" is not an id: ` + es.IDRule},
		{"the name before the price", "p1,,Long,x,none", "InvalidName", "name must have 1 to 200 characters, has 0"},
		{"the price before the category", "p1,Novel,Long,x," + strings.Repeat("c", 129), "InvalidPrice", `price "x" ` + es.ErrPrice.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			shop := newShop(t).Given(books, toys, added("taken", product.Details{Name: "Other"}))
			file := estest.NewObject("june.csv", "1", header+"\n"+c.row+"\n"+"last,Novel,Long,9.99,books\n")
			importFile(t, shop, file)
			then(t, shop, "june.csv", totals{rows: 2, added: 1, rejected: 1})
			quoted := c.reason
			if strings.ContainsAny(quoted, `",`) {
				quoted = `"` + strings.ReplaceAll(quoted, `"`, `""`) + `"`
			}
			if want := "line,code,reason\n3," + c.code + "," + quoted + "\n"; file.Report() != want {
				t.Errorf("the report is\n%s\nwant\n%s", file.Report(), want)
			}
			shop.ThenHappened(added("last", product.Details{Name: "Novel", Description: "Long", Price: novel.Price, CategoryID: "books"}))
		})
	}
}

func TestTheReportIsInTheOrderOfTheFile(t *testing.T) {
	shop := newShop(t)
	file := estest.NewObject("june.csv", "1", "name,description,price,categoryId\nA,,1,none\nB,,x,\nC,,1,none\nD,,1,\n,,1,\n")
	importFile(t, shop, file)
	then(t, shop, "june.csv", totals{rows: 5, added: 1, rejected: 4})
	want := "line,code,reason\n" +
		"2,CategoryNotFound,\"there is no category \"\"none\"\"\"\n" +
		"3,InvalidPrice,\"price \"\"x\"\" " + es.ErrPrice.Error() + "\"\n" +
		"4,CategoryNotFound,\"there is no category \"\"none\"\"\"\n" +
		"6,InvalidName,\"name must have 1 to 200 characters, has 0\"\n"
	if file.Report() != want {
		t.Errorf("the report is\n%s\nwant\n%s", file.Report(), want)
	}
}

func TestAFileWithoutAUsableHeaderIsRejectedWhole(t *testing.T) {
	for _, c := range []struct{ name, content, reason string }{
		{"empty", "", "the file is empty: a header row with the columns name, description and price is needed"},
		{"blank", "\n \n", "the file is blank: a header row with the columns name, description and price is needed"},
		{"no price", "name,description\nNovel,Long\n", "the header row lacks price: the columns name, description and price are needed; it was read as separated by commas, in UTF-8, with the columns name, description"},
		{"no header", "Novel,Long,9.99\n", "the header row lacks name, description, price: the columns name, description and price are needed; it was read as separated by commas, in UTF-8, with the columns Novel, Long, 9.99"},
		{"other words", "Artikel;Text;Preis\n", "the header row lacks name, description, price: the columns name, description and price are needed; it was read as separated by semicolons, in UTF-8, with the columns Artikel, Text, Preis"},
		{"a near miss", "name,description,price,category_id\n", `the header row has the column "category_id", which is nearly categoryId: name it so, or otherwise`},
		{"a letter too many", "name,description,prices\n", `the header row has the column "prices", which is nearly price: name it so, or otherwise`},
		{"a workbook", "PK\x03\x04\x00", "the file is an Excel workbook (.xlsx) or another zip archive: save it as CSV in UTF-8, and upload that"},
		{"a column twice", "name,description,price, Name\n", `the header row names the column "name" twice`},
		{"an unknown column twice", "name,description,price,x,X\n", `the header row names the column "x" twice`},
		{"UTF-16", "\xff\xfen\x00a\x00m\x00e\x00,\x00\n\x00", "the header row lacks description, price: the columns name, description and price are needed; it was read as separated by commas, in UTF-16, with the columns name"},
		{"binary", "\x7fELF\x02\x01\x01\x00\x00", "the file is not CSV text in UTF-8 or UTF-16: save it as CSV in UTF-8"},
		{"an open quote", "\"name,description,price\n", "the file does not begin with a CSV header row: a quoted field is not closed, or continues after its closing quote"},
		{"one long line", strings.Repeat("x", 2<<20), "the file does not begin with a CSV header row: it is longer than 1048576 bytes (is a quote left open?)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			shop := newShop(t)
			file := estest.NewObject("june.csv", "1", c.content)
			importFile(t, shop, file)
			thenImport(t, shop, "june.csv", run.Import{
				Status: run.StatusRejected, Size: file.Size, Reason: c.reason, StartedAt: estest.At(1), FinishedAt: estest.At(2),
			})
			importFile(t, shop, file) // is done with
			shop.ThenHappened(runs.Happened("june.csv",
				run.Started{ETag: file.ETag, Upload: "1", Size: file.Size}, run.Rejected{Reason: c.reason}))
		})
	}
}

func TestAHeaderMayHaveUnnamedColumns(t *testing.T) {
	shop := newShop(t)
	importFile(t, shop, estest.NewObject("june.csv", "1", "name,description,price,,\nNovel,Long,9.99,,\n"))
	then(t, shop, "june.csv", totals{rows: 1, added: 1})
}

// The ids of products without an id column are a storage contract: with others,
// every file that was ever imported would add its products again.
func TestDerivedIDs(t *testing.T) {
	shop := newShop(t).Given(books)
	importFile(t, shop, estest.NewObject("june.csv", "1", "name,description,price,categoryId\n"+
		"Novel,Long,9.99,\n Novel , Long , 9.9900 ,\n\"Ä \"\"x\"\"\",\"a\nb\",0,books\n"))
	then(t, shop, "june.csv", totals{rows: 3, added: 2, unchanged: 1})
	shop.ThenHappened(
		added("40002f42-b742-58d1-977a-6142b0416b8d", novel),
		added("a1b40562-b9f4-57c7-a6f1-e1cbbbb8f564", product.Details{Name: `Ä "x"`, Description: "a\nb", CategoryID: "books"}))
}

func TestTheSameRowIsTheSameProduct(t *testing.T) {
	const first = "name,description,price\nNovel,Long,9.99\nPen,,x\nNovel,Long,9.99\n"
	const corrected = "price,name,description\n2,Pen,\n9.99,Novel,Long\n"
	shop := newShop(t)
	importFile(t, shop, estest.NewObject("june.csv", "1", first))
	then(t, shop, "june.csv", totals{rows: 3, added: 1, unchanged: 1, rejected: 1})
	importFile(t, shop, estest.NewObject("june.csv", "2", first))
	then(t, shop, "june.csv", totals{rows: 3, unchanged: 2, rejected: 1})
	importFile(t, shop, estest.NewObject("corrected.csv", "1", corrected))
	then(t, shop, "corrected.csv", totals{rows: 2, added: 1, unchanged: 1})
}

func TestARowWithAnIDIsUnchangedWhereTheProductIsTheSame(t *testing.T) {
	const content = "id,name,description,price\np1,Novel,Long,9.99\np2,Pen,,1\n"
	shop := newShop(t)
	importFile(t, shop, estest.NewObject("june.csv", "1", content))
	importFile(t, shop, estest.NewObject("june.csv", "2", content))
	then(t, shop, "june.csv", totals{rows: 2, unchanged: 2})
	shop.Given(product.Aggregate.Happened("p2", product.PriceUpdated{Price: es.MustPrice("2")}))
	importFile(t, shop, estest.NewObject("june.csv", "3", content))
	then(t, shop, "june.csv", totals{rows: 2, unchanged: 1, rejected: 1})
	importFile(t, shop, estest.NewObject("twice.csv", "1", "id,name,description,price\np3,A,,1\np3,B,,1\np3,A,,1\n"))
	then(t, shop, "twice.csv", totals{rows: 3, added: 1, unchanged: 1, rejected: 1})
}

func TestTheReportIsOfTheLatestRun(t *testing.T) {
	shop := newShop(t)
	importFile(t, shop, estest.NewObject("june.csv", "1", "name,description,price\nNovel,Long,x\n"))
	second := estest.NewObject("june.csv", "2", "name,description,price\n\n\nNovel,Long,y\n")
	importFile(t, shop, second)
	if want := "line,code,reason\n4,InvalidPrice,\"price \"\"y\"\" " + es.ErrPrice.Error() + "\"\n"; second.Report() != want {
		t.Errorf("the report is\n%s\nwant\n%s", second.Report(), want)
	}
}

func TestUploads(t *testing.T) {
	const content = "name,description,price\nNovel,Long,9.99\n"
	t.Run("an older one is ignored", func(t *testing.T) {
		shop := newShop(t)
		importFile(t, shop, estest.NewObject("june.csv", "2", content))
		before := history(shop, "june.csv")
		importFile(t, shop, estest.NewObject("june.csv", "1", "name,description,price\nPen,,1\n"))
		thenSame(t, before, history(shop, "june.csv"))
	})
	t.Run("the same one is imported once", func(t *testing.T) {
		shop := newShop(t)
		importFile(t, shop, estest.NewObject("june.csv", "1", content))
		before := history(shop, "june.csv")
		importFile(t, shop, estest.NewObject("june.csv", "1", content))
		thenSame(t, before, history(shop, "june.csv"))
	})
	t.Run("a newer one ends a run under way", func(t *testing.T) {
		shop := newShop(t)
		newer := estest.NewObject("june.csv", "2", content)
		older := estest.NewObject("june.csv", "1", "id,name,description,price\np1,Pen,,1\n")
		whileOpening(older, func() { importFile(t, shop, newer) })
		importFile(t, shop, older)
		shop.ThenHappened(runs.Happened("june.csv",
			run.Started{ETag: older.ETag, Upload: "1", Size: older.Size},
			run.Rejected{Reason: "replaced by a newer upload"},
			run.Started{ETag: newer.ETag, Upload: "2", Size: newer.Size},
			run.Progressed{Offset: newer.Size, Line: 3, Rows: 1, Added: 1},
			run.Finished{}))
	})
	t.Run("one that is gone is rejected", func(t *testing.T) {
		shop := newShop(t)
		file := estest.NewObject("june.csv", "1", content)
		importFile(t, shop, file.Gone())
		shop.ThenHappened(runs.Happened("june.csv",
			run.Started{ETag: file.ETag, Upload: "1", Size: file.Size},
			run.Rejected{Reason: "the file was removed or replaced before it was read to its end"}))
	})
}

func TestTheOvertakenRunnerStopsQuietly(t *testing.T) {
	shop := newShop(t)
	file, slow := manyRows("1"), manyRows("1")
	whileOpening(slow, func() { importFile(t, shop, file) })
	importFile(t, shop, slow)
	then(t, shop, "many.csv", manyTotals)
	thenSame(t, undisturbed(t), history(shop, "many.csv"))
	if slow.Report() != "" {
		t.Error("the overtaken runner wrote a report")
	}
}

func TestItStopsAtACheckpointAndGoesOnFromThere(t *testing.T) {
	shop, file := newShop(t), manyRows("1")
	for calls := 1; ; calls++ {
		err := task.OnObject(t.Context(), file.Object, shop.StopAfter(1))
		if err == nil {
			if calls != 3 {
				t.Errorf("it was called %d times, want 3: one per chunk", calls)
			}
			break
		}
		if !errors.Is(err, es.ErrUnfinished) {
			t.Fatal(err)
		}
	}
	thenSame(t, undisturbed(t), history(shop, "many.csv"))
	checkpoints := progress(shop, "many.csv")
	if want := []int64{0, 0, checkpoints[0].Offset, 0, checkpoints[1].Offset}; !slices.Equal(file.Opened(), want) {
		t.Errorf("it was opened at bytes %v, want %v", file.Opened(), want)
	}
}

// Whatever command fails, before or after it took effect: the next call goes on,
// and in the end everything is as if nothing had happened.
func TestItSurvivesACrashAtAnyCommand(t *testing.T) {
	want, report := undisturbed(t), reportOf(t)
	for _, after := range []bool{false, true} {
		for _, at := range []int{1, 2, 3, 250, 450, 451, 452, 453, 700, 901, 902, 903, 904, 905, 990, 994, 995} {
			shop, file := newShop(t), manyRows("1")
			switch err := task.OnObject(t.Context(), file.Object, &crashing{Shop: shop, at: at, after: after}); {
			case err == nil:
				t.Fatalf("there was no command %d", at)
			case !errors.Is(err, errCrash):
				t.Fatalf("command %d crashed, and the task said %v", at, err)
			}
			importFile(t, shop, file)
			thenSame(t, want, history(shop, "many.csv"))
			if file.Report() != report {
				t.Errorf("after a crash at command %d the report is\n%s\nwant\n%s", at, file.Report(), report)
			}
		}
	}
}

func TestItGoesOnAfterTheReadingBroke(t *testing.T) {
	shop := newShop(t)
	file := manyRows("1")
	down := errors.New("the line is down")
	broken := file.Object
	broken.Open = func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		body, err := file.Open(ctx, offset)
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(body, 20_000), failing{down}), body}, err
	}
	if err := task.OnObject(t.Context(), broken, shop); !errors.Is(err, down) {
		t.Fatalf("the task said %v, want %v", err, down)
	}
	importFile(t, shop, file)
	thenSame(t, undisturbed(t), history(shop, "many.csv"))
}

func TestItFinishesWhereOnlyTheEndIsMissing(t *testing.T) {
	shop := newShop(t)
	file := estest.NewObject("june.csv", "1", "name,description,price\nNovel,Long,x\n")
	write := file.WriteReport
	full := errors.New("the disk is full")
	file.WriteReport = func(context.Context, func(io.Writer) error) error { return full }
	if err := task.OnObject(t.Context(), file.Object, shop); !errors.Is(err, full) {
		t.Fatalf("the task said %v, want %v", err, full)
	}
	file.WriteReport = write
	importFile(t, shop, file)
	then(t, shop, "june.csv", totals{rows: 1, rejected: 1})
	if !strings.Contains(file.Report(), "2,InvalidPrice") {
		t.Errorf("the report is\n%s", file.Report())
	}
}

// A checkpoint with as many and as long rejections as there can be stays below
// what a commit may have (DynamoDB's items end at 400 KB).
func TestCheckpointsStaySmall(t *testing.T) {
	for name, row := range map[string]string{
		"control characters": strings.Repeat("\x01", 200) + ",Novel,,1,\n",
		"backslashes":        "p1,Novel,," + strings.Repeat(`\`, 200) + ",\n",
		"rare characters":    "p1,Novel,," + strings.Repeat("\U0010FFFF", 200) + ",\n",
		"categories":         "p1,Novel,,1," + strings.Repeat("\U0001F600", 200) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			shop := newShop(t)
			importFile(t, shop, estest.NewObject("june.csv", "1", "id,name,description,price,categoryId\n"+strings.Repeat(row, 1200)))
			then(t, shop, "june.csv", totals{rows: 1200, rejected: 1200})
			for _, p := range progress(shop, "june.csv") {
				_, _, data, err := runs.Definition().EncodeEvent(p)
				if err != nil || len(data) > 300<<10 || len(p.Rejections) > 500 {
					t.Errorf("a checkpoint has %d rejections and %d bytes (error: %v), want at most 500 and 300 KiB", len(p.Rejections), len(data), err)
				}
			}
		})
	}
}

// FuzzImport: whatever the file, its import ends, every row is accounted for, and a
// check before it says the same.
func FuzzImport(f *testing.F) {
	f.Add("name,description,price\nNovel,Long,9.99\n\"Pen\n,,1\n", "")
	f.Add("name,description,price\nNovel,\"Lo\nng\",9.99,\n,,\xff\nNovel,,1", "latin1")
	f.Add("sep=;\nTitle;SKU;Description;Price (EUR);;\nTea;t;;4,20;;\n;;;;;\nTea;t;;1.200,00;;\n", "windows-1252")
	f.Add(utf16File("Handle\tTitle\tBody (HTML)\tVariant Price\na\tTea\t\t4.20\na\t\t\t5\n", true), "")
	f.Add("\ufeff\ufeffname|description|price|colour\rNovel|\"|9|red\r\"|Long|9.99|", "utf-8")
	f.Fuzz(func(t *testing.T, content, charset string) {
		file := estest.NewObject("fuzz.csv", "1", content)
		file.Charset = charset
		before, err := task.Check(t.Context(), file.Object, newShop(t))
		if err != nil {
			t.Fatalf("check: %v", err)
		}
		shop := newShop(t)
		importFile(t, shop, file)
		var p run.Progressed
		if all := progress(shop, "fuzz.csv"); len(all) > 0 {
			p = all[len(all)-1]
		}
		if p.Rows != p.Added+p.Unchanged+p.Rejected {
			t.Errorf("%d rows, but %d added, %d unchanged and %d rejected", p.Rows, p.Added, p.Unchanged, p.Rejected)
		}
		said := map[string]int{}
		for _, r := range before.Rows {
			said[r.Outcome]++
		}
		if len(before.Rows) != p.Rows || said["added"] != p.Added || said["unchanged"] != p.Unchanged {
			t.Errorf("the check said %v of %d rows, the import %+v", said, len(before.Rows), p)
		}
	})
}

func newShop(t testing.TB) *estest.Shop {
	return estest.NewShop(t, product.Aggregate, category.Aggregate, runs)
}

func importFile(t testing.TB, shop *estest.Shop, file *estest.Object) {
	t.Helper()
	if err := task.OnObject(t.Context(), file.Object, shop); err != nil {
		t.Fatalf("import %s: %v", file.Key, err)
	}
}

// whileOpening lets something happen before the object is first opened.
func whileOpening(file *estest.Object, happen func()) {
	open, once := file.Open, false
	file.Open = func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		if !once {
			once = true
			happen()
		}
		return open(ctx, offset)
	}
}

func added(id string, d product.Details) es.Happened {
	return product.Aggregate.Happened(id, product.Added(d))
}

// manyRows needs three chunks; every tenth row is wrong, and one is there twice.
func manyRows(upload string) *estest.Object {
	var b strings.Builder
	b.WriteString("name,description,price\n")
	for i := range 1100 {
		if i%10 == 0 {
			fmt.Fprintf(&b, "Wrong %d,,x\n", i)
		} else {
			fmt.Fprintf(&b, "Product %d,\"two\nlines\",%d\n", i, i)
		}
	}
	b.WriteString("Product 1,\"two\nlines\",1\n")
	return estest.NewObject("many.csv", upload, b.String())
}

var manyTotals = totals{rows: 1101, added: 990, unchanged: 1, rejected: 110}

// undisturbed is what happens to many.csv where nothing gets in the way.
func undisturbed(t *testing.T) []any {
	t.Helper()
	shop := newShop(t)
	importFile(t, shop, manyRows("1"))
	then(t, shop, "many.csv", manyTotals)
	return history(shop, "many.csv")
}

func reportOf(t *testing.T) string {
	t.Helper()
	file := manyRows("1")
	importFile(t, newShop(t), file)
	return file.Report()
}

type totals struct{ rows, added, unchanged, rejected int }

// then demands that the import finished with these totals.
func then(t testing.TB, shop *estest.Shop, key string, want totals) {
	t.Helper()
	events := history(shop, key)
	if _, finished := events[len(events)-1].(run.Finished); !finished {
		t.Fatalf("the import of %s ended with %+v, want Finished", key, events[len(events)-1])
	}
	all := progress(shop, key)
	p := all[len(all)-1]
	if got := (totals{p.Rows, p.Added, p.Unchanged, p.Rejected}); got != want {
		t.Fatalf("the import of %s has %+v, want %+v", key, got, want)
	}
}

func thenImport(t *testing.T, shop *estest.Shop, key string, want run.Import) {
	t.Helper()
	estest.RowOf(t, Products.View()).From(shop, key).Then(want)
}

func thenSame(t *testing.T, want, got []any) {
	t.Helper()
	if fmt.Sprintf("%+v", want) != fmt.Sprintf("%+v", got) {
		t.Errorf("the import's events are\n%.2000v\nwant\n%.2000v", got, want)
	}
}

func history(shop *estest.Shop, key string) (events []any) {
	for _, e := range shop.History(runs.Name(), key) {
		events = append(events, e.Event)
	}
	return events
}

func progress(shop *estest.Shop, key string) (all []run.Progressed) {
	for _, e := range history(shop, key) {
		if p, ok := e.(run.Progressed); ok {
			all = append(all, p)
		}
	}
	return all
}

var errCrash = errors.New("crash")

// crashing is a shop that crashes at the at-th command (from 1), before or after
// it took effect.
type crashing struct {
	es.Shop
	at    int
	after bool
}

func (s *crashing) Execute(ctx context.Context, commands ...es.TaskCommand) []es.Outcome {
	outcomes := make([]es.Outcome, len(commands))
	for i, c := range commands {
		s.at--
		if s.at < 0 || s.at == 0 && !s.after {
			outcomes[i].Err = errCrash
			continue
		}
		outcomes[i] = s.Shop.Execute(ctx, c)[0]
		if s.at == 0 {
			outcomes[i] = es.Outcome{Err: errCrash}
		}
	}
	return outcomes
}

// failing is a reader that does nothing but fail.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
