package importproducts_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

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
			run(t, shop, estest.NewObject("june.csv", "1", c.content))
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
			run(t, shop, estest.NewObject("june.csv", "1", content))
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
