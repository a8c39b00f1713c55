// Package e2e tests the shop as it is deployed: over API Gateway, by what its
// functions did, and with faults that are made in its queues and tables. make
// e2e deploys it to the emulator and runs this; without a deployment there is
// nothing to test, and it says so.
package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/deployed"
	"onlineshop/plugins"
)

// deployment is the shop under test, and the account that it is in.
type deployment struct {
	url     string // of the API, without a slash at the end
	issuer  string // signs whatever it is asked for
	stack   deployed.Stack
	plugins []es.Plugin
	// engine reads logs, rows and cursors as the functions do.
	engine *engine.Engine

	lambda *lambda.Client
	logs   *cloudwatchlogs.Client
	sqs    *sqs.Client
	s3     *s3.Client
	tables *dynamodb.Client
}

var shop *deployment

func TestMain(m *testing.M) {
	if os.Getenv("SHOP_E2E_API") == "" {
		fmt.Println("The end-to-end suite tests a deployed shop: run it with make e2e.")
		return
	}
	var err error
	if shop, err = find(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := empty(context.Background(), shop.stack.Outputs[deployed.ReportBucket]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func find(ctx context.Context) (*deployment, error) {
	c, err := aws.LoadConfig(ctx)
	if err != nil {
		return nil, err
	}
	stack, err := deployed.Find(ctx, c, os.Getenv("SHOP_E2E_OUTPUTS"))
	if err != nil {
		return nil, err
	}
	all := plugins.All(plugins.NoDeps{})
	p, err := aws.New(aws.Options{Config: c, Wiring: stack.Wiring, Plugins: all, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return &deployment{
		url: os.Getenv("SHOP_E2E_API"), issuer: os.Getenv("SHOP_E2E_ISSUER"), stack: stack, plugins: all, engine: p.Engine(),
		lambda: lambda.NewFromConfig(c), logs: cloudwatchlogs.NewFromConfig(c), sqs: sqs.NewFromConfig(c), tables: dynamodb.NewFromConfig(c),
		s3: s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }),
	}, nil
}

// patience is how long a condition may take to come true. The emulator's pollers
// are slow, the machine is busy, and a message whose function was stopped, as an update
// does, is hidden for six minutes; it is only ever waited for in vain where something is
// wrong.
const patience = 8 * time.Minute

// takesLong leaves a test out of make e2e; make e2e-all runs it.
func takesLong(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes more than half a minute: make e2e-all")
	}
}

// eventually waits until done says so; saw is told where it never does.
func eventually(t testing.TB, what string, done func() (ok bool, saw any)) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, saw := done()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %s; last seen: %v", patience, what, saw)
		}
	}
}

// user sends requests with a token of their own.
type user struct {
	testing.TB
	name   string
	groups []string
}

func admin(t testing.TB) user             { return user{t, "admin", []string{es.Admin}} }
func someone(t testing.TB, n string) user { return user{t, n, nil} }

// token asks the test's own identity provider for one.
func token(t testing.TB, name string, groups ...string) string {
	t.Helper()
	res, err := http.Get(shop.issuer + "/token?" + url.Values{"sub": {name}, "group": groups}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("token for %s: %d %v", name, res.StatusCode, err)
	}
	return string(b)
}

// answer is what the API said.
type answer struct {
	Status int
	Body   []byte
}

// send makes a request; header lists names and values in turn.
func (u user) send(method, path, body string, header ...string) answer {
	u.Helper()
	r, err := http.NewRequestWithContext(u.Context(), method, shop.url+path, strings.NewReader(body))
	if err != nil {
		u.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if u.name != "" {
		r.Header.Set("Authorization", "Bearer "+token(u.TB, u.name, u.groups...))
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		u.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		u.Fatal(err)
	}
	return answer{res.StatusCode, bytes.TrimSpace(b)}
}

// answered sends until the emulator is not too busy to answer.
func (u user) answered(method, path, body string, header ...string) (a answer) {
	u.Helper()
	eventually(u.TB, method+" "+path+" is answered", func() (bool, any) {
		a = u.send(method, path, body, header...)
		return a.Status != http.StatusServiceUnavailable && a.Status != http.StatusGatewayTimeout, fmt.Sprintf("%d %s", a.Status, a.Body)
	})
	return a
}

// must sends a command that is to be accepted. Where it is sent again, it is the same one.
func (u user) must(path, body string, header ...string) answer {
	u.Helper()
	if !slices.Contains(header, idempotencyKey) {
		header = append(slices.Clone(header), idempotencyKey, rand.Text())
	}
	a := u.answered(http.MethodPost, path, body, header...)
	if a.Status != http.StatusOK {
		u.Fatalf("POST %s %s: %d %s", path, body, a.Status, a.Body)
	}
	return a
}

const idempotencyKey = "Idempotency-Key"

// placedAt is a time that these tests don't know.
var placedAt = regexp.MustCompile(`,"placedAt":"[^"]*"`)

// becomes waits until the row is right.
func (u user) becomes(path, want string) {
	u.Helper()
	eventually(u.TB, "GET "+path+" is "+want, func() (bool, any) {
		a := u.send(http.MethodGet, path, "")
		return a.Status == http.StatusOK && placedAt.ReplaceAllString(string(a.Body), "") == want, fmt.Sprintf("%d %s", a.Status, a.Body)
	})
}

// read reads a resource.
func read[T any](u user, path string) (v T) {
	u.Helper()
	a := u.answered(http.MethodGet, path, "")
	if a.Status != http.StatusOK {
		u.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
	}
	if err := json.Unmarshal(a.Body, &v); err != nil {
		u.Fatalf("GET %s: %v: %s", path, err, a.Body)
	}
	return v
}

// list reads all pages of a list.
func list[T any](u user, path string) (all []T) {
	u.Helper()
	next := "?cursor="
	if strings.Contains(path, "?") {
		next = "&cursor="
	}
	for cursor := ""; ; {
		p := read[struct {
			Items []T
			Next  string
		}](u, path+cursor)
		all = append(all, p.Items...)
		if p.Next == "" {
			return all
		}
		cursor = next + url.QueryEscape(p.Next)
	}
}

// event is an item of a history.
type event struct {
	Version   int
	Type      string
	Data      json.RawMessage
	MessageID string `json:"messageId"`
}

// history is what happened to an aggregate, e.g. of catalog/product.
func history(t testing.TB, aggregate, id string) []event {
	t.Helper()
	return list[event](admin(t), "/"+aggregate+"/"+url.PathEscape(id)+"/events")
}

func typesOf(events []event) string {
	var names []string
	for _, e := range events {
		names = append(names, e.Type)
	}
	return strings.Join(names, " ")
}

// command runs the shop's program on the stack, as an operator does.
func command(t testing.TB, args ...string) (output string) {
	t.Helper()
	output, err := attempt(t, args...)
	if err != nil {
		t.Fatalf("shop %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return output
}

// attempt is a command that may fail.
func attempt(t testing.TB, args ...string) (output string, err error) {
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "./cmd/shop", "--stack", "Shop"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// products adds products and waits until they can be ordered.
func products(t testing.TB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		admin(t).must("/catalog/product/"+id+"/add", `{"name":"Tea","description":"","price":9.99}`)
	}
	for _, id := range ids {
		admin(t).becomes("/ordering/available-products/"+id, `{"id":"`+id+`","name":"Tea","price":9.99}`)
	}
}

// customer registers the user as one of that id.
func (u user) customer(id string) {
	u.Helper()
	u.must("/ordering/customer/"+id+"/register", `{"email":"`+id+`@example.com","address":"1 Main Street"}`)
}

// place places an order.
func (u user) place(order, customer string, products ...string) {
	u.Helper()
	b, _ := json.Marshal(map[string]any{"customerId": customer, "productIds": products})
	u.must("/ordering/order/"+order+"/place", string(b))
}

// orderRow is a row of Orders as the API shows it.
func orderRow(id, customer, status string, products ...string) string {
	b, _ := json.Marshal(products)
	return `{"id":"` + id + `","customerId":"` + customer + `","productIds":` + string(b) + `,"status":"` + status + `"}`
}

func demandRow(id string, orders int) string {
	return fmt.Sprintf(`{"id":%q,"name":"Tea","orderCount":%d}`, id, orders)
}

// put uploads an object.
func put(t testing.TB, bucket, key string, content []byte) {
	t.Helper()
	_, err := shop.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(content)})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

// object reads one.
func object(t testing.TB, bucket, key string) (string, error) {
	t.Helper()
	out, err := shop.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	return string(b), err
}

// output is one of the stack's.
func output(t testing.TB, name string) string {
	t.Helper()
	v := shop.stack.Outputs[name]
	if v == "" {
		t.Fatalf("the stack has no output %s", name)
	}
	return v
}

// line is one of a function's log.
type line struct {
	instance string // that wrote it
	text     string
}

// logged are the lines of a function's log since then that have the text.
func logged(t testing.TB, function string, since time.Time, text string) (lines []line) {
	t.Helper()
	group, from := logGroup(function), since.UnixMilli()
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(shop.logs, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, StartTime: &from})
	for pages.HasMorePages() {
		p, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatalf("log of %s: %v", function, err)
		}
		for _, e := range p.Events {
			if strings.Contains(awssdk.ToString(e.Message), text) {
				lines = append(lines, line{awssdk.ToString(e.LogStreamName), *e.Message})
			}
		}
	}
	return lines
}

// logGroup is where the emulator logs, whatever the function's configuration says.
func logGroup(function string) string { return "/aws/lambda/" + function }

// functions are those that are deployed.
func functions(t testing.TB) (all []types.FunctionConfiguration) {
	t.Helper()
	pages := lambda.NewListFunctionsPaginator(shop.lambda, &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		p, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Functions...)
	}
	return all
}

// function is the physical name of the one whose logical id begins like that.
func function(t testing.TB, prefix string) string {
	t.Helper()
	for _, f := range functions(t) {
		if strings.HasPrefix(*f.FunctionName, "Shop-"+prefix) {
			return *f.FunctionName
		}
	}
	t.Fatalf("there is no function Shop-%s…", prefix)
	return ""
}
