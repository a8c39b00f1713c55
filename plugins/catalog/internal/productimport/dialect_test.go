package productimport_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"onlineshop/es/estest"
	"onlineshop/plugins/catalog/internal/product"
)

// utf16File is a text as Excel's "Unicode text" has it.
func utf16File(text string, big bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		if big {
			b.Write([]byte{byte(u >> 8), byte(u)})
		} else {
			b.Write([]byte{byte(u), byte(u >> 8)})
		}
	}
	return b.String()
}

func TestFilesAsPeopleMakeThem(t *testing.T) {
	const two = "id,name,description,price\np1,Tea,Green,4.20\np2,Cup,Grün 🍵,1200\n"
	with := func(sep string) string { return strings.ReplaceAll(two, ",", sep) }
	for name, c := range map[string]struct {
		content string
		prices  string // of p1 and p2
	}{
		"commas":                   {two, "4.2 1200"},
		"semicolons":               {with(";"), "4.2 1200"},
		"tabs":                     {with("\t"), "4.2 1200"},
		"bars":                     {with("|"), "4.2 1200"},
		"Excel's sep= line":        {"sep=;\r\n" + strings.ReplaceAll(with(";"), "\n", "\r\n"), "4.2 1200"},
		"sep= of another kind":     {"sep=^\n" + with("^"), "4.2 1200"},
		"carriage returns alone":   {strings.ReplaceAll(two, "\n", "\r"), "4.2 1200"},
		"UTF-16, tabs":             {utf16File(with("\t"), false), "4.2 1200"},
		"UTF-16, the other way":    {utf16File(strings.ReplaceAll(with(";"), "\n", "\r\n"), true), "4.2 1200"},
		"a mark twice":             {"\ufeff\ufeff" + two, "4.2 1200"},
		"what nobody sees":         {"\u200bid, name\u00a0,description,\ufeffprice\np1,Tea,,4.20\np2,Cup,,1200\n", "4.2 1200"},
		"decimal commas":           {strings.ReplaceAll(with(";"), "4.20", "4,20"), "4.2 1200"},
		"columns without a name":   {"id;name;description;price;;\np1;Tea;;4,20;;\n;;;;;\np2;Cup;;1200;;\n", "4.2 1200"},
		"usual words":              {"SKU,Title,Description,Price (EUR)\np1,Tea,,4.20\np2,Cup,,1200\n", "4.2 1200"},
		"Shopify's export":         {"Handle,Title,Body (HTML),Vendor,Variant Price,Image Src\np1,Tea,<p>Green</p>,V,4.20,a.png\np1,,,,4.50,b.png\np1,,,,,c.png\np2,Cup,,V,1200,d.png\n", "4.2 1200"},
		"WooCommerce's export":     {"ID,Type,Name,Short description,Regular price,Categories\np1,simple,Tea,Green,4.20,x\np2,simple,Cup,,1200,y\n", "4.2 1200"},
		"thousands are no decimal": {"id;name;description;price\np1;Tea;;4,20\np2;Cup;;1,000\n", "4.2 -"},
		"commas and points":        {"id;name;description;price\np1;Tea;;4,20\np2;Cup;;4.20\n", "- 4.2"},
		"a point and a comma":      {"id;name;description;price\np1;Tea;;4,20\np2;Cup;;1.355,90\n", "4.2 -"},
		"a currency":               {"id,name,description,price\np1,Tea,,4.20\np2,Cup,,€ 5\n", "4.2 -"},
		"a currency's code":        {"id,name,description,price\np1,Tea,,4.20\np2,Cup,,5 EUR\n", "4.2 -"},
		"a comma among commas":     {"id,name,description,price\np1,Tea,,\"4,20\"\np2,Cup,,4.20\n", "- 4.2"},
		"an unknown column":        {"id,name,description,price,colour\np1,Tea,,4.20,red\np2,Cup,,1200,\n", "4.2 1200"},
		"bytes of another page":    {"id,name,description,price\np1,Tea,,4.20\np2,Caf\xe9,,1200\n", "4.2 -"},
	} {
		t.Run(name, func(t *testing.T) {
			shop := newShop(t)
			importFile(t, shop, estest.NewObject("june.csv", "1", c.content))
			var got []string
			for _, id := range []string{"p1", "p2"} {
				got = append(got, priceOf(t, shop, id))
			}
			if s := strings.Join(got, " "); s != c.prices {
				t.Errorf("prices %s, want %s", s, c.prices)
			}
		})
	}
}

// A long file is read in chunks from checkpoints, in whichever dialect.
func TestAFileOfAnyDialectGoesOnFromItsCheckpoints(t *testing.T) {
	var b strings.Builder
	b.WriteString("name;description;price\n")
	for i := range 1500 {
		fmt.Fprintf(&b, "Tee 🍵 %d;\"zwei\nZeilen\";%d,50\n", i, i)
	}
	for name, content := range map[string]string{"UTF-8": b.String(), "UTF-16": utf16File(b.String(), false)} {
		t.Run(name, func(t *testing.T) {
			shop := newShop(t)
			importFile(t, shop, estest.NewObject("june.csv", "1", content))
			then(t, shop, "june.csv", totals{rows: 1500, added: 1500})
		})
	}
}

// priceOf is a product's price; "-": there is none.
func priceOf(t *testing.T, shop *estest.Shop, id string) string {
	t.Helper()
	s, err := product.Aggregate.State(t.Context(), shop, id)
	if err != nil {
		t.Fatal(err)
	}
	if s.Details.Name == "" {
		return "-"
	}
	return s.Details.Price.String()
}

func TestAnImportSaysHowItReadAFile(t *testing.T) {
	for name, c := range map[string]struct{ content, charset, want string }{
		"as we ask for":      {"name,description,price\nTea,,1\n", "", ""},
		"said to be UTF-8":   {"name,description,price\nTea,,1\n", "utf8", ""},
		"semicolons":         {"name;description;price\nTea;;1,50\n", "", "read as text separated by semicolons, in UTF-8, with decimal commas"},
		"UTF-16":             {utf16File("name\tdescription\tprice\nTea\t\t1\n", false), "", "read as text separated by tabs, in UTF-16"},
		"a mark counts more": {utf16File("name\tdescription\tprice\nTea\t\t1\n", false), "windows-1252", "read as text separated by tabs, in UTF-16"},
		"Windows":            {"name,description,price\nTh\xe9,,1\n", "CP1252", "read as text separated by commas, in windows-1252"},
		"other words":        {"SKU,Title,Description,Price (EUR)\nt,Tea,,1\n", "", `name from "Title", price from "Price (EUR)", id from "SKU"`},
		"unknown columns":    {"name,colour,description,price,shelf\nTea,,,1,\n", "", `columns that are not read: "colour", "shelf"`},
		"Shopify's export": {"Handle,Title,Body (HTML),Vendor,Variant Price\nt,Tea,,V,1\n", "",
			`read as text separated by commas, in UTF-8, as an export of Shopify; name from "Title", description from "Body (HTML)", price from "Variant Price", id from "Handle"; columns that are not read: "Vendor"`},
		"WooCommerce's export": {"ID,Type,SKU,Name,Short description,Regular price\n7,simple,t,Tea,,1\n8,simple,,Cup,,1\n", "",
			`read as text separated by commas, in UTF-8, as an export of WooCommerce; description from "Short description", price from "Regular price", id from "SKU"; columns that are not read: "Type"`},
		"no rows": {"name,description,price,colour\n", "", `columns that are not read: "colour"`},
	} {
		t.Run(name, func(t *testing.T) {
			file := estest.NewObject("june.csv", "1", c.content)
			file.Charset = c.charset
			shop := newShop(t)
			importFile(t, shop, file)
			all := progress(shop, "june.csv")
			if p := all[0]; len(all) != 1 || p.Note != c.want || p.Rejected > 0 {
				t.Errorf("note %q, want %q; %+v", p.Note, c.want, all)
			}
		})
	}
}

func TestTextInOtherEncodingsIsReadWhereTheUploaderSaysSo(t *testing.T) {
	// Given a file as Windows writes it, of several chunks
	var b strings.Builder
	b.WriteString("id;name;description;price\r\n")
	for i := range 700 {
		fmt.Fprintf(&b, "p%d;Caf\xe9 \x80 %d;;1,50\r\n", i, i)
	}
	file := estest.NewObject("june.csv", "1", b.String())
	file.Charset = "windows-1252"
	shop := newShop(t)
	// When it is imported
	importFile(t, shop, file)
	// Then its text is what was written
	then(t, shop, "june.csv", totals{rows: 700, added: 700})
	if s, err := product.Aggregate.State(t.Context(), shop, "p699"); err != nil || s.Details.Name != "Café € 699" {
		t.Errorf("the last product is %q, %v", s.Details.Name, err)
	}
	// And an encoding that is not read refuses the file, and says what to do
	for charset, want := range map[string]string{
		"klingon":   `"klingon" is not an encoding that is known: say windows-1252, or save the file as CSV in UTF-8`,
		"shift_jis": "text in shift_jis is not read: save the file as CSV in UTF-8",
	} {
		file := estest.NewObject("other.csv", charset, "name,description,price\nTea,,1\n")
		file.Charset = charset
		if c, err := task.Check(t.Context(), file.Object, shop); err != nil || c.Refused != want {
			t.Errorf("%s: %q, %v, want %q", charset, c.Refused, err, want)
		}
	}
}

func TestAWooCommerceProductWithoutASKUIsKnownByItsID(t *testing.T) {
	shop := newShop(t)
	importFile(t, shop, estest.NewObject("woo.csv", "1", "ID,SKU,Name,Description,Regular price\n7,t,Tea,,4\n8,,Cup,,5\n"))
	for id, want := range map[string]string{"t": "4", "8": "5", "7": "-"} {
		if got := priceOf(t, shop, id); got != want {
			t.Errorf("the price of %s is %s, want %s", id, got, want)
		}
	}
}

func TestACheckSaysWhatAnImportWouldDo(t *testing.T) {
	shop := newShop(t).Given(books, added("taken", product.Details{Name: "Other"}), added("same", novel))
	file := estest.NewObject("june.csv", "1", "id,name,description,price,categoryId\n"+
		"p1,Novel,Long,9.99,books\nsame,Novel,Long,9.99,\ntaken,Novel,,1,\np2,,,1,\np1,Novel,Long,9.99,books\np1,Novel,Longer,9.99,books\n,Pen,,1,none\n")
	c, err := task.Check(t.Context(), file.Object, shop)
	var got []string
	for _, r := range c.Rows {
		got = append(got, strings.TrimSpace(fmt.Sprint(r.Line, " ", r.Outcome, " ", r.Reason)))
	}
	want := []string{
		"2 added", "3 unchanged", "4 ProductAlreadyExists product taken is already there with other details",
		"5 InvalidName name must have 1 to 200 characters, has 0", "6 unchanged",
		"7 ProductAlreadyExists product p1 is already there with other details", `8 CategoryNotFound there is no category "none"`,
	}
	if d := cmp.Diff(want, got); err != nil || c.Refused != "" || d != "" {
		t.Errorf("%v, %q, rows (-want +got):\n%s", err, c.Refused, d)
	}
	if imports := progress(shop, "june.csv"); len(imports) > 0 {
		t.Errorf("there is an import: %+v", imports)
	}
	c, err = task.Check(t.Context(), estest.NewObject("bad.csv", "1", "name,price\n").Object, shop)
	if err != nil || !strings.HasPrefix(c.Refused, "the header row lacks description") {
		t.Errorf("a file without descriptions: %+v, %v", c, err)
	}
}
