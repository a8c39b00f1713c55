package onlineshop_test

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var updateScale = flag.Bool("update-scale", false, "write the tables of docs/scale.md anew")

// counted is an operation of docs/cost.md, as TestCostTable counted it.
type counted struct {
	requests, rcu, wcu, laterRCU, logs, rows, indexes, entries, messages, invocations, dynamodb, all float64
}

// cost reads an operation's row of docs/cost.md.
func cost(t *testing.T, operation string) counted {
	t.Helper()
	b, err := os.ReadFile("docs/cost.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 13 || strings.TrimSpace(cells[0]) != operation {
			continue
		}
		var n [12]float64
		for i := range n {
			if n[i], err = strconv.ParseFloat(strings.TrimSpace(cells[i+1]), 64); err != nil {
				t.Fatalf("docs/cost.md: %v in %q", err, line)
			}
		}
		return counted{n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11]}
	}
	t.Fatalf("docs/cost.md has no row %q", operation)
	return counted{}
}

// constant is a number that another file declares.
func constant(t *testing.T, file, pattern string) float64 {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(b)
	if m == nil {
		t.Fatalf("%s has no %s", file, pattern)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What is assumed where nothing here can count it. See docs/scale.md.
const (
	busy  = 0.030 // seconds that an invocation takes
	batch = 10.0  // messages or records of an invocation, under load
	write = 0.010 // seconds of one decision on one aggregate, until its write is acknowledged
)

// limit is something that ends the growth.
type limit struct {
	what  string
	load  func(orders float64) float64 // a second
	limit float64
	moves string // what moves it
}

func limits(t *testing.T) []limit {
	order := cost(t, "`Order.Place`, two products, to the end")
	readers := constant(t, "cdk/messaging.go", `maxReaders\s+= (\d+)`)
	per := func(n float64) func(float64) float64 { return func(orders float64) float64 { return n * orders } }
	return []limit{
		{"API Gateway: requests", per(1), 10_000, "the account's quota, on request"},
		{"Lambda: functions at a time", per(busy * (1 + (order.invocations-1)/batch)), 1_000, "the account's quota, on request"},
		{"DynamoDB: writes to Ordering's log", per(2), 40_000, "the table's quota, on request"},
		{"DynamoDB: writes to Catalog's log", per(2), 40_000, "the table's quota, on request"},
		{"DynamoDB: writes to an index of Orders", per(2), 40_000, "the table's quota, on request"},
		{"EventBridge: entries", per(order.entries), 10_000, "the account's quota, on request"},
		{"EventBridge: deliveries to inboxes", per(order.entries), 18_750, "the account's quota, on request"},
		{"inbox of Ordering.Order: messages", per(1), readers * batch / busy, "`maxReaders` in `cdk/messaging.go`, up to 1,000"},
		{"inbox of Catalog.ProductDemand: messages", per(order.entries), readers * batch / busy, "`maxReaders` in `cdk/messaging.go`, up to 1,000"},
		{"FIFO inbox of e-mails: messages", per(1), readers * batch / busy, "`maxReaders`; beyond it, SQS' quota of a FIFO queue (70,000 a second)"},
		{"SES: e-mails", per(1), 14, "the account's sending rate, on request"},
		{"hot key: orders of one product, 1 % of all", per(0.01), 1 / write, "nothing declared: one aggregate decides on one command at a time. Count in several aggregates, `ProductDemand` by product and day, say"},
		{"hot key: orders of one product, 1 % of all, as writes to one partition", per(0.01 * 2), 1_000, "the same"},
	}
}

func amount(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f billion", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f million", n/1e6)
	case n >= 1000:
		return fmt.Sprintf("%d,%03d", int(n)/1000, int(n)%1000)
	case n >= 10:
		return fmt.Sprintf("%.0f", n)
	}
	return strconv.FormatFloat(math.Round(n*100)/100, 'f', -1, 64)
}

// tables are those of docs/scale.md, by name.
func tables(t *testing.T) map[string]string {
	rates := []float64{10, 1_000, 100_000}
	order := cost(t, "`Order.Place`, two products, to the end")
	product := cost(t, "`Product.Add`")
	var b strings.Builder
	b.WriteString("| what ends it | published limit, a second or at a time | ends at orders a second |")
	for _, r := range rates {
		fmt.Fprintf(&b, " at %s |", amount(r))
	}
	b.WriteString(" what moves it |\n|---|---|---|" + strings.Repeat("---|", len(rates)) + "---|\n")
	all := limits(t)
	slices.SortStableFunc(all, func(a, b limit) int { return cmp.Compare(a.limit/a.load(1), b.limit/b.load(1)) })
	for _, l := range all {
		fmt.Fprintf(&b, "| %s | %s | %s |", l.what, amount(l.limit), amount(math.Floor(l.limit/l.load(1)+1e-9)))
		for _, r := range rates {
			share := l.load(r) / l.limit
			mark := ""
			if share > 1 {
				mark = " **beyond**"
			}
			fmt.Fprintf(&b, " %s%%%s |", amount(100*share), mark)
		}
		fmt.Fprintf(&b, " %s |\n", l.moves)
	}
	ends := b.String()

	b.Reset()
	b.WriteString("| orders a second | orders a month | write units a second | read units a second | USD a month, DynamoDB | USD a month, at most |\n|---|---|---|---|---|---|\n")
	for _, r := range rates {
		month := r * 30 * 24 * 3600
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", amount(r), amount(month), amount(r*(order.wcu+order.logs+order.rows+order.indexes)),
			amount(r*(order.rcu+order.laterRCU)), amount(month/1e6*order.dynamodb), amount(month/1e6*order.all))
	}
	costs := b.String()

	b.Reset()
	const (
		products = 1e9
		perItem  = 0.5e-6 // GB: 300 bytes of attributes, their names, and 100 bytes of overhead
		storage  = 0.25   // USD per GB and month
	)
	items := 2.0 + 3 + 1 // commits of Product and CatalogProduct, rows, cursor
	b.WriteString("| | 1,000,000,000 products |\n|---|---|\n")
	fmt.Fprintf(&b, "| items: 2 commits, 3 rows and a cursor each | %s |\n", amount(items*products))
	fmt.Fprintf(&b, "| storage, at 500 bytes an item | %s GB, USD %s a month |\n", amount(items*products*perItem), amount(items*products*perItem*storage))
	fmt.Fprintf(&b, "| to add them once: DynamoDB | USD %s |\n", amount(products/1e6*product.dynamodb))
	fmt.Fprintf(&b, "| in how many days, at half of a log's 40,000 writes a second | %s |\n", amount(products/20_000/86_400))
	fmt.Fprintf(&b, "| a sweep or a rebuild: reads of Catalog's log alone | USD %s |\n", amount(products*0.125/1e6*0.125*4)) // 8 items of 500 bytes a unit, for each of 4 aggregates
	return map[string]string{"limits": ends, "costs": costs, "products": b.String()}
}

func TestTheTablesOfScaleAreWhatTheCountsSay(t *testing.T) {
	const file = "docs/scale.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was := string(b)
	now := was
	for name, table := range tables(t) {
		begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
		i, j := strings.Index(now, begin), strings.Index(now, end)
		if i < 0 || j < i {
			t.Fatalf("%s has no place for the table %s", file, name)
		}
		now = now[:i+len(begin)] + table + now[j:]
	}
	if *updateScale {
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(was, now); diff != "" {
		t.Errorf("%s is not what docs/cost.md and the declarations say (-it says +it should):\n%s\nRun: go test . -update-scale", file, diff)
	}
}
