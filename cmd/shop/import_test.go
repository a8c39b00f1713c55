package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// imported waits until a file's run, begun after an earlier one, has ended.
func (p *process) imported(key string, after time.Time) (run importRun) {
	p.t.Helper()
	eventually(p.t, "the import of "+key, func() (bool, any) {
		run, _ = row[importRun](p, "/catalog/product-imports/"+url.PathEscape(key))
		return run.StartedAt.After(after) && run.ended(), run
	})
	return run
}

// report reads why rows were rejected, as "line code"; nil where there is none.
func (p *process) report(key string) (rejections []string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.base+"/catalog/product-imports/"+url.PathEscape(key)+"/report", http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil
	}
	rows, err := csv.NewReader(answer.Body).ReadAll()
	if err != nil || len(rows) == 0 || !slices.Equal(rows[0], []string{"line", "code", "reason"}) || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/csv") {
		p.t.Fatalf("report of %s: %s, %v: %v", key, answer.Status, err, rows)
	}
	for _, row := range rows[1:] {
		if row[2] == "" {
			p.t.Errorf("report of %s: line %s has no reason", key, row[0])
		}
		rejections = append(rejections, row[0]+" "+row[1])
	}
	return rejections
}

const header = "id,name,description,price\n"

// Files as people make them: what becomes of each, and of its rows.
func TestImportOfFilesAsPeopleMakeThem(t *testing.T) {
	long := func(id string) string { return id + ",Long," + strings.Repeat("x", 9_000) + ",1\n" }
	unclosed := header + "unc0,\"Never closed,,1\n"
	for i := range 150 { // more than a record may have, after the quote
		unclosed += long(fmt.Sprintf("unc-%d", i))
	}
	noise := make([]byte, 5_000)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(noise); i++ {
		noise[i] = byte(r.IntN(256))
	}
	files := map[string]struct {
		content  string
		added    int64
		same     int64    // unchanged
		rejected []string // "line code"
		refused  string   // a word of the reason, where the file is refused whole
		note     string   // how it was read
		products []product
	}{
		"excel.csv": {content: "\ufeffid,name,description,price\r\nexcel,Excel,\"first\r\nsecond\",1\r\n", added: 1,
			products: []product{{ID: "excel", Name: "Excel", Description: "first\nsecond", Price: "1"}}},
		"columns in any order and case.csv": {content: "PRICE, Name ,iD,Description\n2.50,Order,order,of columns\n", added: 1,
			products: []product{{ID: "order", Name: "Order", Description: "of columns", Price: "2.5"}}},
		"quotes.csv": {content: header + "quote,\"Lamp, \"\"large\"\"\",\"one\n\ntwo, three\",3\nafter,After,,4\nbad,,,5\n", added: 2,
			rejected: []string{"6 InvalidName"},
			products: []product{{ID: "quote", Name: `Lamp, "large"`, Description: "one\n\ntwo, three", Price: "3"}}},
		"blank lines.csv":          {content: "\n" + header + "\n\nblank1,One,,1\n   \n\nblank2,,,1\n\n", added: 1, rejected: []string{"8 InvalidName"}},
		"no final newline.csv":     {content: header + "final,Final,,1", added: 1},
		"header alone.csv":         {content: header},
		"extra and missing.csv":    {content: header + "extra,Extra,,1,more\nmissing,Missing,1\nright,Right,,1\n", added: 1, rejected: []string{"2 WrongColumnCount", "3 WrongColumnCount"}},
		"unknown columns.csv":      {content: "colour,id,name,description,price,\nred,colour,Colour,,1,\n", added: 1, note: `columns that are not read: "colour"`},
		"latin-1.csv":              {content: header + "latin1,Caf\xe9,,1\nutf8,Café,,1\n", added: 1, rejected: []string{"2 InvalidEncoding"}},
		"unclosed quote.csv":       {content: unclosed, added: 150, rejected: []string{"2 MalformedRow"}},
		"unclosed at the end.csv":  {content: header + "unc-a,A,,1\nunc-b,\"B,,1\n", added: 1, rejected: []string{"3 MalformedRow"}},
		"quote within a field.csv": {content: header + "inch,5\" pipe,,1\ninch2,Pipe,,1\n", added: 1, rejected: []string{"2 MalformedRow"}},
		"empty.csv":                {refused: "empty"},
		"no header.csv":            {content: "nohead,No Header,,1\nnohead2,No Header,,1\n", refused: "name"},
		"semicolons.csv": {content: "id;name;description;price\nsemi;Semi;;1,50\nsemi2;Semi;;2\n;;;\n", added: 2, note: "read as text separated by semicolons, in UTF-8, with decimal commas",
			products: []product{{ID: "semi", Name: "Semi", Price: "1.5"}, {ID: "semi2", Name: "Semi", Price: "2"}}},
		"column twice.csv":     {content: "id,name,Name,description,price\ntwice,A,B,,1\n", refused: "twice"},
		"picture.csv":          {content: "\x89PNG\r\n\x1a\n" + string(noise), refused: "not CSV text"},
		"utf-16.csv":           {content: "\xff\xfei\x00d\x00,\x00n\x00a\x00m\x00e\x00\n\x00", refused: "UTF-16"},
		"near miss.csv":        {content: "id,name,description,price,category_id\nnear,N,,1,books\n", refused: "category_id"},
		"carriage returns.csv": {content: "sep=,\rid,name,description,price\rcr1,One,,1\rcr2,Two,,2\r", added: 2},
		"workbook.csv":         {content: "PK\x03\x04" + string(noise), refused: "Excel"},
		"prices.csv": {content: header + "price1,P,,\" 9.99\t\"\nprice2,P,,1.23456\nprice3,P,,-1\nprice4,P,,1e3\nprice5,P,,007\nprice6,P,,\nprice7,P,,0\nprice8,P,,\"1,50\"\nprice9,P,,1234567890123\n",
			added: 2, rejected: []string{"3 InvalidPrice", "4 InvalidPrice", "5 InvalidPrice", "6 InvalidPrice", "7 InvalidPrice", "9 InvalidPrice", "10 InvalidPrice"},
			products: []product{{ID: "price1", Name: "P", Price: "9.99"}, {ID: "price7", Name: "P", Price: "0"}}},
		"limits.csv": {content: header + "limit1," + strings.Repeat("ä", 200) + ",,1\nlimit2," + strings.Repeat("ä", 201) + ",,1\nlimit3,L," + strings.Repeat("x", 10_001) + ",1\na b,L,,1\n..,L,,1\n" + strings.Repeat("x", 129) + ",L,,1\n limit4 , Trimmed ,,1\n",
			added: 2, rejected: []string{"3 InvalidName", "4 InvalidDescription", "5 InvalidId", "6 InvalidId", "7 InvalidId"},
			products: []product{{ID: "limit4", Name: "Trimmed", Price: "1"}}},
		"categories.csv": {content: "id,name,description,price,categoryId\ncat1,C,,1,books\ncat2,C,,1,nothing\ncat3,C,,1,old\ncat4,C,,1,\n", added: 2,
			rejected: []string{"3 CategoryNotFound", "4 CategoryAlreadyArchived"},
			products: []product{{ID: "cat1", Name: "C", Price: "1", CategoryID: "books"}, {ID: "cat4", Name: "C", Price: "1"}}},
		"ids in use.csv":        {content: header + "taken,Taken,by hand,1.50\ntaken,Taken,by hand,1.51\n", same: 1, rejected: []string{"3 ProductAlreadyExists"}},
		"derived ids.csv":       {content: "name,description,price\nDerived,,1\nDerived,,1.0\nDerived,,2\n", added: 2, same: 1},
		"with spaces + 50%.csv": {content: header + "key1,Key,,1\nkey1b,,,1\n", added: 1, rejected: []string{"3 InvalidName"}},
		"größe.csv":             {content: header + "key2,Key,,1\nkey2b,,,1\n", added: 1, rejected: []string{"3 InvalidName"}},
		"what?#%2F&a=b.csv":     {content: header + "key3,Key,,1\nkey3b,,,1\n", added: 1, rejected: []string{"3 InvalidName"}},
		"no-extension":          {content: header + "key4,Key,,1\n", added: 1},
	}
	// Given a shop with an active and an archived category, and a product
	p := start(t, binary, t.TempDir())
	p.must("/catalog/category/books/add", map[string]any{"name": "Books"})
	p.must("/catalog/category/old/add", map[string]any{"name": "Old"})
	p.must("/catalog/category/old/archive", nil)
	p.must("/catalog/product/taken/add", map[string]any{"name": "Taken", "description": "by hand", "price": 1.5})
	// When the files are dropped
	for name, f := range files {
		p.drop(name, f.content)
	}
	// Then each comes to its end
	for name, f := range files {
		t.Run(name, func(t *testing.T) {
			p.t = t
			r := p.imported(name, time.Time{})
			if f.refused != "" {
				if r.Status != "rejected" || !strings.Contains(r.Reason, f.refused) || r.Rows != 0 {
					t.Fatalf("want it refused for a reason with %q: %+v", f.refused, r)
				}
				return
			}
			want := importRun{ID: name, Status: "finished", Size: int64(len(f.content)), Offset: int64(len(f.content)),
				Rows: f.added + f.same + int64(len(f.rejected)), Added: f.added, Unchanged: f.same, Rejected: int64(len(f.rejected)), Note: f.note}
			if len(f.rejected) > 0 {
				want.Report = "/catalog/product-imports/" + url.PathEscape(name) + "/report"
			}
			got := r
			got.StartedAt, got.FinishedAt = time.Time{}, nil
			if got != want || r.FinishedAt == nil || r.FinishedAt.Before(r.StartedAt) {
				t.Errorf("got  %+v\nwant %+v", r, want)
			}
			if got := p.report(name); !slices.Equal(got, f.rejected) {
				t.Errorf("rejected: got %q, want %q", got, f.rejected)
			}
			for _, want := range f.products {
				got, _ := row[product](p, "/catalog/products/"+want.ID+"?minVersion=1")
				if !reflect.DeepEqual(got, want) {
					t.Errorf("product:\ngot  %+v\nwant %+v", got, want)
				}
			}
			eventually(t, "the file ends among those done", func() (bool, any) { // after its run
				_, err := os.Stat(filepath.Join(p.data, bucket, "done", name))
				return err == nil, err
			})
		})
	}
}

func TestImportOfTheSameFileAgain(t *testing.T) {
	// Given an imported file
	p := start(t, binary, t.TempDir())
	content := "name,description,price\nMug,,7\nJug,,12\n,,1\n"
	p.drop("june.csv", content)
	first := p.imported("june.csv", time.Time{})
	// When the same file comes again, and the shop was restarted between
	if code := p.stop(); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	p = start(t, binary, p.data)
	p.drop("june.csv", content)
	second := p.imported("june.csv", first.StartedAt)
	// Then it is a new run that adds nothing, and both files are kept
	if first.Added != 2 || second.Added != 0 || second.Unchanged != 2 || second.Rejected != 1 || second.Rows != 3 {
		t.Errorf("first %+v, second %+v", first, second)
	}
	eventually(t, "both files are done", func() (bool, any) {
		done, err := filepath.Glob(filepath.Join(p.data, bucket, "done", "*"))
		return len(done) == 2, fmt.Sprint(done, err)
	})
	p.settled()
	if all := list[product](p, "/catalog/products"); len(all) != 2 {
		t.Errorf("products: %+v", all)
	}
}

func TestFilesThatAreNoUploadsAreLeftAlone(t *testing.T) {
	p := start(t, binary, t.TempDir())
	folder := filepath.Join(p.data, bucket)
	outside := filepath.Join(t.TempDir(), "outside.csv")
	for _, err := range []error{
		os.WriteFile(filepath.Join(folder, ".hidden.csv"), []byte(header+"hidden,Hidden,,1\n"), 0o600),
		os.Mkdir(filepath.Join(folder, "folder.csv"), 0o700),
		os.WriteFile(outside, []byte(header+"outside,Outside,,1\n"), 0o600),
		os.Symlink(outside, filepath.Join(folder, "link.csv")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p.drop("upload.csv", header+"upload,Upload,,1\n")
	p.imported("upload.csv", time.Time{})
	if runs := list[importRun](p, "/catalog/product-imports"); len(runs) != 1 {
		t.Errorf("imports: %+v", runs)
	}
	for _, name := range []string{".hidden.csv", "folder.csv", "link.csv"} {
		if _, err := os.Lstat(filepath.Join(folder, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// memoryLimit is what a shop may take at most, however long a file is.
const memoryLimit = 256 << 20

// A large file is read on from the last checkpoint after each kill: every good
// row goes in once, and the counts add up. Built without the race detector,
// which multiplies memory.
func TestLargeImportKilledOnTheWay(t *testing.T) {
	rows := 200_000
	if testing.Short() {
		rows = 20_000
	}
	content, good := largeFile(rows)
	// Given a shop that imports a large file
	p := start(t, plainBinary, t.TempDir())
	p.drop("large.csv", content)
	peak := int64(0)
	// When it is killed three times on the way
	for kill := range 3 {
		eventually(t, "a part of the rows", func() (bool, any) {
			r, _ := row[importRun](p, "/catalog/product-imports/large.csv")
			return r.Rows >= int64(rows*(kill+1)/5), r
		})
		peak = max(peak, peakMemory(t, p.cmd))
		p.kill()
		p = start(t, plainBinary, p.data)
	}
	// Then all rows are counted once
	r := p.imported("large.csv", time.Time{})
	t.Logf("%+v", r)
	if r.Rows != int64(rows) || r.Added != int64(len(good)) || r.Unchanged != 0 || r.Added+r.Unchanged+r.Rejected != r.Rows {
		t.Errorf("of %d rows, %d of them good: %+v", rows, len(good), r)
	}
	if got := len(p.report("large.csv")); int64(got) != r.Rejected {
		t.Errorf("the report has %d rows, the run %d rejected ones", got, r.Rejected)
	}
	// And each good one is there once, in both plugins
	p.settled()
	for _, path := range []string{"/catalog/products", "/catalog/product-demands", "/ordering/available-products"} {
		seen := map[string]bool{}
		for _, v := range list[product](p, path+"?limit=200") {
			if seen[v.ID] || !good[v.ID] {
				t.Errorf("%s lists %s twice, or it is none of the file", path, v.ID)
			}
			seen[v.ID] = true
		}
		if len(seen) != len(good) {
			t.Errorf("%s lists %d products, want %d", path, len(seen), len(good))
		}
	}
	sample := 0
	for id := range good {
		if h := p.history("catalog/product", id); len(h) != 1 {
			t.Errorf("product %s has %d events", id, len(h))
		}
		if sample++; sample == 50 {
			break
		}
	}
	if peak = max(peak, peakMemory(t, p.cmd)); peak > memoryLimit {
		t.Errorf("peak memory: %d MiB, more than %d", peak>>20, int64(memoryLimit)>>20)
	}
	t.Logf("peak memory: %d MiB", peak>>20)
}

// largeFile has every 100th row bad, and tells the ids of the others.
func largeFile(rows int) (content string, good map[string]bool) {
	var b strings.Builder
	good = map[string]bool{}
	b.WriteString(header)
	for i := range rows {
		id := fmt.Sprintf("large-%06d", i)
		if i%100 == 99 {
			fmt.Fprintf(&b, "%s,,a row without a name,1\n", id)
			continue
		}
		good[id] = true
		fmt.Fprintf(&b, "%s,Product %d,\"Described, at some length, with the number %d\",%d.%02d\n", id, i, i, i%1000, i%100)
	}
	return b.String(), good
}

// peakMemory is the process's in bytes; 0 where the system does not tell.
func peakMemory(t testing.TB, cmd *exec.Cmd) int64 {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.Fields(kb)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no VmHWM among what the system tells of the process")
	return 0
}

// ProductDemands is right whichever of its sources, and which plugin, comes first.
func TestDemandWhateverComesFirst(t *testing.T) {
	p := start(t, binary, t.TempDir())
	add := func(id string) {
		p.must("/catalog/product/"+id+"/add", map[string]any{"name": strings.ToUpper(id), "description": "", "price": 1})
	}
	place := func(order string, products ...string) error {
		return p.post(t.Context(), "/ordering/order/"+order+"/place", "", map[string]any{"customerId": "ann", "productIds": products}, nil)
	}
	demandOf := func(id string) (d demand) {
		d, _ = row[demand](p, "/catalog/product-demands/"+id)
		return d
	}
	p.must("/ordering/customer/ann/register", map[string]any{"email": "ann@example.com", "address": "1 Lane"})
	// An order before Ordering has heard of the product is rejected, and counts nothing
	if err := place("o1", "lamp"); !isProblem(err, "ProductNotAvailable") {
		t.Fatalf("an order of an unknown product: %v", err)
	}
	// One that comes right after the product goes in as soon as Ordering knows it
	add("lamp")
	eventually(t, "the product is available", func() (bool, any) {
		err := place("o1", "lamp", "lamp")
		return err == nil, err
	})
	// A new name and a new order, at once
	p.must("/catalog/product/lamp/update-name", map[string]any{"name": "Light"})
	if err := place("o2", "lamp"); err != nil {
		t.Fatal(err)
	}
	// Products by a file, ordered by one who does not wait for views
	p.drop("more.csv", header+"desk,Desk,,5\nchair,Chair,,6\n")
	eventually(t, "the products of the file are available", func() (bool, any) {
		err := place("o3", "desk", "chair", "lamp")
		return err == nil, err
	})
	// Rejected orders and those that come twice count nothing
	for _, products := range [][]string{{"desk", "nothing"}, {"nothing"}} {
		if err := place("o4", products...); !isProblem(err, "ProductNotAvailable") {
			t.Fatalf("an order of %v: %v", products, err)
		}
	}
	if err := place("o3", "desk"); !isProblem(err, "OrderAlreadyPlaced", "OrderAlreadyShipped") {
		t.Fatalf("an order placed again: %v", err)
	}
	p.settled()
	want := []demand{{"lamp", "Light", 3}, {"desk", "Desk", 1}, {"chair", "Chair", 1}}
	check := func(when string) {
		t.Helper()
		for _, w := range want {
			if got := demandOf(w.ID); got != w {
				t.Errorf("%s: got %+v, want %+v", when, got, w)
			}
		}
	}
	check("in the end")
	// It stays so when it is folded again, swept, and after a restart
	for _, operation := range []string{"rebuild", "sweep"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s := &session{program{io.Discard, io.Discard}, settings{Addr: p.base}, nil}
		model := ""
		if operation == "rebuild" {
			model = "Catalog.ProductDemands"
		}
		if err := s.operate(ctx, operation, model, "done"); err != nil {
			t.Fatal(err)
		}
		cancel()
		p.settled()
		check("after " + operation)
	}
	p.kill()
	p = start(t, binary, p.data)
	p.settled()
	check("after a restart")
}
