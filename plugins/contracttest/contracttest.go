package contracttest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"onlineshop/es/naming"
	"onlineshop/plugins"
	"onlineshop/plugins/plugintest"
)

// Run runs the whole contract.
func Run(t *testing.T, c Client) {
	s := &suite{c, "t" + strings.ToLower(rand.Text()[:8])}
	for _, scenario := range []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"any plugin", anyPlugin},
		{"commands", commands},
		{"rejections", rejections},
		{"payloads", payloads},
		{"bodies", bodies},
		{"ids", ids},
		{"routes", routes},
		{"identity", identity},
		{"ownership", ownership},
		{"erasure", erasure},
		{"secrecy", secrecy},
		{"idempotency keys", idempotencyKeys},
		{"versions", versions},
		{"correlation", correlation},
		{"rows", rows},
		{"lists", lists},
		{"queries", queries},
		{"histories", histories},
		{"orders", orders},
		{"dry runs", dryRuns},
		{"traces", traces},
		{"imports", imports},
		{"uploads", uploads},
		{"exports", exports},
		{"checks", checks},
		{"states", states},
		{"operations", operations},
		{"descriptions", descriptions},
		{"order of checks", orderOfChecks},
	} {
		t.Run(scenario.name, func(t *testing.T) { scenario.run(s, t) })
	}
}

const tea = `{"name":"Tea","description":"Green","price":9.99}`

// product adds one and returns its id.
func (s *suite) product(t testing.TB) string {
	t.Helper()
	id := s.id("tea")
	s.admin(t).post("/catalog/product/"+id+"/add", tea).is(200)
	return id
}

// customer registers one of the user's and returns its id.
func (s *suite) customer(as actor) string {
	as.Helper()
	id := s.id("customer")
	as.post("/ordering/customer/"+id+"/register", `{"email":"`+id+`@example.com","address":"1 Main Street"}`).is(200)
	return id
}

func outcome(aggregate, id string, version int, events ...string) string {
	b, _ := json.Marshal(map[string]any{"aggregate": aggregate, "id": id, "version": version, "events": append([]string{}, events...)})
	return string(b)
}

func commands(s *suite, t *testing.T) {
	admin, id := s.admin(t), s.id("p")
	at := "/catalog/product/" + id

	admin.post(at+"/add", tea).is(200, outcome("Catalog.Product", id, 1, "Added")).has("ETag", `"1"`).has("Content-Type", "application/json")
	admin.post(at+"/update-price", `{"price":10.50}`, "Content-Type", "application/json; charset=UTF-8").
		is(200, outcome("Catalog.Product", id, 2, "PriceUpdated")).has("ETag", `"2"`)
	admin.post(at+"/update-name", `{"name":"  Tea "}`).is(200, outcome("Catalog.Product", id, 2)).has("ETag", `"2"`)
	admin.post(at+"/update-price", `{"price":10.5000}`).is(200, outcome("Catalog.Product", id, 2))
	admin.post(at+"/update-description", `{"description":""}`).is(200, outcome("Catalog.Product", id, 3, "DescriptionUpdated"))

	books := s.id("books")
	at = "/catalog/category/" + books
	admin.post(at+"/add", `{"name":"Books"}`).is(200)
	admin.post("/catalog/product/"+id+"/change-category", `{"categoryId":"`+books+`"}`).is(200, outcome("Catalog.Product", id, 4, "CategoryChanged"))
	admin.post(at+"/rename", `{"name":"More books"}`).is(200, outcome("Catalog.Category", books, 2, "Renamed"))
	admin.post(at+"/archive", "").is(200, outcome("Catalog.Category", books, 3, "Archived"))
	admin.post(at+"/archive", "{}").is(200, outcome("Catalog.Category", books, 3))
	admin.post(at+"/archive", " \n{ }").is(200, outcome("Catalog.Category", books, 3))
	admin.post(at+"/archive", `{"now":true}`).refuses(422, "InvalidPayload")
}

func rejections(s *suite, t *testing.T) {
	admin, ann, bob := s.admin(t), s.ann(t), s.bob(t)
	product, archived, active := s.product(t), s.id("old"), s.id("new")
	admin.post("/catalog/category/"+archived+"/add", `{"name":"Old"}`).is(200)
	admin.post("/catalog/category/"+archived+"/archive", "").is(200)
	admin.post("/catalog/category/"+active+"/add", `{"name":"New"}`).is(200)
	left := s.customer(ann)
	ann.post("/ordering/customer/"+left+"/deactivate", "").is(200)
	ann.post("/ordering/customer/"+left+"/deactivate", "").is(200, outcome("Ordering.Customer", left, 2))
	there := s.customer(ann)
	order := func(customer string) string {
		return `{"customerId":"` + customer + `","productIds":["` + product + `"]}`
	}
	admin.becomes("/ordering/available-products/"+product, `{"id":"`+product+`","name":"Tea","price":9.99}`)

	for _, x := range []struct {
		as         actor
		path, body string
		status     int
		code       string
	}{
		{admin, "/catalog/product/" + product + "/add", tea, 409, "ProductAlreadyExists"},
		{admin, "/catalog/product/" + s.id("no") + "/update-name", `{"name":"x"}`, 404, "ProductNotFound"},
		{admin, "/catalog/product/" + s.id("no") + "/update-price", `{"price":1}`, 404, "ProductNotFound"},
		{admin, "/catalog/product/" + s.id("no") + "/update-description", `{"description":"x"}`, 404, "ProductNotFound"},
		{admin, "/catalog/product/" + s.id("no") + "/change-category", `{"categoryId":"` + active + `"}`, 404, "ProductNotFound"},
		{admin, "/catalog/product/" + product + "/change-category", `{"categoryId":"` + s.id("no") + `"}`, 404, "CategoryNotFound"},
		{admin, "/catalog/product/" + product + "/change-category", `{"categoryId":"` + archived + `"}`, 409, "CategoryAlreadyArchived"},
		{admin, "/catalog/product/" + s.id("no") + "/add", `{"name":"x","description":"","price":1,"categoryId":"` + archived + `"}`, 409, "CategoryAlreadyArchived"},
		{admin, "/catalog/category/" + active + "/add", `{"name":"x"}`, 409, "CategoryAlreadyExists"},
		{admin, "/catalog/category/" + archived + "/add", `{"name":"x"}`, 409, "CategoryAlreadyArchived"},
		{admin, "/catalog/category/" + archived + "/rename", `{"name":"x"}`, 409, "CategoryAlreadyArchived"},
		{admin, "/catalog/category/" + s.id("no") + "/rename", `{"name":"x"}`, 404, "CategoryNotFound"},
		{admin, "/catalog/category/" + s.id("no") + "/archive", "", 404, "CategoryNotFound"},
		{ann, "/ordering/customer/" + there + "/register", `{"email":"a@example.com","address":"x"}`, 409, "CustomerAlreadyRegistered"},
		{ann, "/ordering/customer/" + left + "/register", `{"email":"a@example.com","address":"x"}`, 409, "CustomerAlreadyDeactivated"},
		{ann, "/ordering/customer/" + left + "/update-address", `{"address":"x"}`, 409, "CustomerAlreadyDeactivated"},
		{admin, "/ordering/customer/" + s.id("no") + "/update-email", `{"email":"a@example.com"}`, 404, "CustomerNotFound"},
		{ann, "/ordering/order/" + s.id("no") + "/place", order(left), 409, "CustomerAlreadyDeactivated"},
		{ann, "/ordering/order/" + s.id("no") + "/place", order(s.id("no")), 404, "CustomerNotFound"},
		{bob, "/ordering/order/" + s.id("no") + "/place", order(there), 404, "CustomerNotFound"},
		{admin, "/ordering/order/" + s.id("no") + "/ship", "", 404, "OrderNotFound"},
		{admin, "/ordering/order/" + s.id("no") + "/cancel", "", 404, "OrderNotFound"},
	} {
		x.as.post(x.path, x.body).refuses(x.status, x.code)
	}
	unknown := s.id("unknown")
	got := ann.post("/ordering/order/"+s.id("no")+"/place", `{"customerId":"`+there+`","productIds":["`+product+`","`+unknown+`"]}`).
		refuses(409, "ProductNotAvailable").member("productIds")
	if want := `["` + unknown + `"]`; got != want {
		t.Errorf("productIds of ProductNotAvailable are %s, want %s", got, want)
	}
}

func payloads(s *suite, t *testing.T) {
	admin, id := s.admin(t), s.product(t)
	product := func(name, description, price string) string {
		return `{"name":` + name + `,"description":` + description + `,"price":` + price + `}`
	}
	long := func(n int) string { return `"` + strings.Repeat("é", n) + `"` }
	for _, x := range []struct{ body, pointers string }{
		{`{}`, "/name /description /price"},
		{`[]`, ""},
		{`null`, ""},
		{`"tea"`, ""},
		{product(`null`, `"d"`, `1`), "/name"},
		{product(`1`, `"d"`, `1`), "/name"},
		{product(`"n"`, `["d"]`, `1`), "/description"},
		{product(`"n"`, `"d"`, `"1"`), "/price"},
		{product(`"n"`, `"d"`, `true`), "/price"},
		{product(`"n"`, `"d"`, `1`)[:1] + `"Name":"n",` + product(`"n"`, `"d"`, `1`)[1:], "/Name"},
		{`{"NAME":"n","description":"d","price":1}`, "/NAME /name"},
		{`{"name":"n","description":"d","price":1,"a/b~c":1}`, "/a~1b~0c"},
		{product(`""`, `"d"`, `1`), "/name"},
		{product(`"  "`, `"d"`, `1`), "/name"},
		{product(long(201), `"d"`, `1`), "/name"},
		{product(`"n"`, long(10001), `1`), "/description"},
		{product(`"n"`, `"d"`, `-1`), "/price"},
		{product(`"n"`, `"d"`, `-0`), "/price"},
		{product(`"n"`, `"d"`, `1e2`), "/price"},
		{product(`"n"`, `"d"`, `1.00001`), "/price"},
		{product(`"n"`, `"d"`, `1234567890123`), "/price"},
		{`{"name":"n","description":"d","price":1,"categoryId":""}`, "/categoryId"},
		{`{"name":"n","description":"d","price":1,"categoryId":null}`, "/categoryId"},
	} {
		r := admin.post("/catalog/product/"+id+"/add", x.body).refuses(422, "InvalidPayload")
		var problems []struct{ Pointer, Detail string }
		if err := json.Unmarshal([]byte(r.member("errors")), &problems); err != nil || len(problems) == 0 {
			t.Fatalf("%s: errors are %s", r.request, r.member("errors"))
		}
		var got []string
		for _, p := range problems {
			got = append(got, p.Pointer)
			if p.Detail == "" {
				t.Errorf("%s: %s has no detail", r.request, p.Pointer)
			}
		}
		want := strings.Split(x.pointers, " ")
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: errors point at %q, want %q", r.request, got, want)
		}
	}
	for _, body := range []string{
		product(long(200), `""`, `0`), product(`"n"`, long(10000), `999999999999.9999`), product(`"\u00e9"`, `"d"`, `0.10`),
	} {
		admin.post("/catalog/product/"+s.id("p")+"/add", body).is(200)
	}

	ann := s.ann(t)
	for _, email := range []string{"", "ann", "ann@", "@example.com", "a b@example.com", "ann@example", strings.Repeat("a", 250) + "@example.com"} {
		ann.post("/ordering/customer/"+s.id("c")+"/register", `{"email":"`+email+`","address":"x"}`).refuses(422, "InvalidPayload")
	}
	ann.post("/ordering/customer/"+s.id("c")+"/register", `{"email":" ann@example.com ","address":" "}`).refuses(422, "InvalidPayload")
	many := strings.TrimSuffix(strings.Repeat(`"p",`, 101), ",")
	ann.post("/ordering/order/"+s.id("o")+"/place", `{"customerId":"c","productIds":[]}`).refuses(422, "InvalidPayload")
	ann.post("/ordering/order/"+s.id("o")+"/place", `{"customerId":"c","productIds":[`+many+`]}`).refuses(409, "ProductNotAvailable") // repeats don't count
	for i := range 101 {
		many = strings.Replace(many, `"p"`, fmt.Sprintf(`"p%d"`, i), 1)
	}
	ann.post("/ordering/order/"+s.id("o")+"/place", `{"customerId":"c","productIds":[`+many+`]}`).refuses(422, "InvalidPayload")
}

func bodies(s *suite, t *testing.T) {
	admin, id := s.admin(t), s.product(t)
	at := "/catalog/product/" + id + "/update-name"
	for name, body := range map[string]string{
		"missing":                     "",
		"only space":                  "  ",
		"a space of no JSON's after":  "{\"name\":\"a\"}\f",
		"a space of no JSON's before": "\u00a0{\"name\":\"a\"}",
		"broken":                      `{"name":`,
		"no JSON":                     `name=Tea`,
		"a member twice":              `{"name":"a","name":"b"}`,
		"a member twice, escaped":     `{"name":"a","\u006eame":"b"}`,
		"data after the value":        `{"name":"a"} {}`,
		"invalid UTF-8":               "{\"name\":\"a\xff\"}",
		"overlong UTF-8":              "{\"name\":\"\xc0\xaf\"}",
		"a lone surrogate":            `{"name":"\ud800"}`,
		"a raw surrogate":             "{\"name\":\"\xed\xa0\x80\"}",
		"a control character":         "{\"name\":\"a\nb\"}",
		"a comment":                   `{"name":"a"} // tea`,
		"single quotes":               `{'name':'a'}`,
		"a trailing comma":            `{"name":"a",}`,
		"a byte order mark":           "\ufeff{\"name\":\"a\"}",
		"deep nesting":                `{"name":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			s.admin(t).post(at, body, "Content-Type", "application/json").refuses(400, "MalformedRequest")
		})
	}
	for _, typ := range []string{
		absent, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "application/jsonp", "application/problem+json",
		"application/json; charset=latin1", "application/json; charset", "json", "*/*",
	} {
		admin.post(at, `{"name":"Coffee"}`, "Content-Type", typ).refuses(415, "UnsupportedMediaType")
	}
	var zipped bytes.Buffer // truly so: what only claims it, API Gateway refuses itself
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`{"name":"Coffee"}`))
	_ = z.Close()
	admin.post(at, zipped.String(), "Content-Encoding", "gzip").refuses(415, "UnsupportedMediaType")
	admin.post(at, `{"name":"Coffee"}`, "Content-Encoding", "br").refuses(415, "UnsupportedMediaType")
	admin.post(at, `{"name":"Tea"}`, "Content-Type", "APPLICATION/JSON;charset=utf-8").is(200, outcome("Catalog.Product", id, 1))

	large := `{"name":"` + strings.Repeat("x", 300_000) + `"}`
	admin.post(at, large).refuses(413, "PayloadTooLarge")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+at, io.MultiReader(strings.NewReader(large))) // no length known
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	s.SignIn(r, "admin", "Admin")
	admin.do(r, large).refuses(413, "PayloadTooLarge")
	fits := `{"name":"Tea"}`
	admin.post(at, strings.Repeat(" ", 256<<10-len(fits))+fits).is(200)
	admin.post(at, strings.Repeat(" ", 256<<10-len(fits)+1)+fits).refuses(413, "PayloadTooLarge")
	admin.get("/catalog/products/"+id+"?minVersion=1").is(200).has("ETag", `"1"`) // none of these had an effect
}

func ids(s *suite, t *testing.T) {
	admin := s.admin(t)
	for _, id := range []string{
		"a%20b", "..", ".", "%2e%2e", "%2E", "a%2Fb", "%2F", "a%5Cb", "a%00b", "%ff", "%C3%A9", "é", "a+b", "a@b", "a:b", "a;b", "a=b", "a,b", "a'b", "a%25b",
		"%7Bid%7D", strings.Repeat("a", 129), "",
	} {
		admin.post("/catalog/product/"+id+"/add", tea).refuses(422, "InvalidId")
	}
	for _, id := range []string{s.id("A.b_c~d-9"), s.id(strings.Repeat("a", 128-len(s.id("")))), "..." + s.id("dots"), s.id("%7E")} {
		admin.post("/catalog/product/"+id+"/add", tea).is(200)
	}

	// Internal aggregates' ids are any text; there is nothing under these.
	for _, id := range []string{"a%20b", "a%2Fb", "%2F", "..", "%2e%2e", "%C3%BCber%20maß.csv", "a+b", "a%25b"} {
		admin.get("/catalog/product-imports/"+id+s.run).refuses(404, "ProductImportNotFound")
		admin.get("/catalog/product-import/"+id+s.run+"/events").is(200, `{"items":[]}`)
		admin.get("/catalog/product-imports/"+id+s.run+"/report").refuses(404, "NotFound")
	}
	for _, id := range []string{"%ff", strings.Repeat("a", 1025), strings.Repeat("%C3%A9", 513)} {
		admin.get("/catalog/product-imports/"+id).refuses(422, "InvalidId")
		admin.get("/catalog/product-import/"+id+"/events").refuses(422, "InvalidId")
		admin.get("/catalog/product-imports/"+id+"/report").refuses(422, "InvalidId")
	}
}

func routes(s *suite, t *testing.T) {
	admin := s.admin(t)
	for _, x := range []string{
		"GET //", "GET /catalog", "GET /catalog/", "GET /nothing/products", "GET /catalog/nothing", "GET /catalog/Products", "GET /Catalog/products",
		"GET /catalog/products/", "GET //catalog/products", "GET /catalog//products", "GET /catalog/./products", "GET /catalog/x/../products",
		"GET /catalog%2Fproducts", "GET /catalog/products/a/b", "GET /catalog/products/a/b/c", "GET /catalog/product/a", "GET /catalog/product/a/nothing",
		"POST /catalog/product/a/nothing", "POST /catalog/product/a/Add", "POST /catalog/product/a/add/", "POST /catalog/product/a/b/add",
		"POST /catalog/product-demands/a/check", "POST /catalog/product/a/updatePrice",
		"POST /catalog/product-demand/a/record", "POST /catalog/product-import/a/start", "POST /ordering/catalog-product/a/sync",
		"GET /operations", "POST /operations/nothing", "GET /openapi", "GET /health/", "GET /events", "OPTIONS /nothing", "GET /catalog/product-demands/a/report",
	} {
		method, path, _ := strings.Cut(x, " ")
		admin.send(method, path, "").refuses(404, "NotFound")
	}
	for _, x := range []struct{ request, allow string }{
		{"GET /catalog/product/a/add", "POST"},
		{"PUT /catalog/product/a/add", "POST"},
		{"OPTIONS /catalog/product/a/add", "POST"},
		{"DELETE /catalog/products/a", "GET, HEAD"},
		{"POST /catalog/product/add", "GET, HEAD"},
		{"POST /catalog/product/a%2Fadd", "GET, HEAD"},
		{"POST /catalog/product", "GET, HEAD"},
		{"POST /catalog/products/a", "GET, HEAD"},
		{"PATCH /catalog/products", "GET, HEAD"},
		{"OPTIONS /catalog/products", "GET, HEAD"},
		{"POST /catalog/product/a/events", "GET, HEAD"},
		{"POST /catalog/product-demand/a/events", "GET, HEAD"},
		{"POST /catalog/product-imports/a/report", "GET, HEAD"},
		{"GET /catalog/product-imports/a/check", "POST"},
		{"POST /operations/parked", "GET, HEAD"},
		{"GET /operations/redrive", "POST"},
		{"GET /operations/sweep", "POST"},
		{"DELETE /operations/rebuild", "POST"},
		{"POST /health", "GET, HEAD"},
		{"POST /openapi.json", "GET, HEAD"},
		{"POST /manifest.json", "GET, HEAD"},
	} {
		method, path, _ := strings.Cut(x.request, " ")
		admin.send(method, path, "").refuses(405, "MethodNotAllowed").has("Allow", x.allow)
	}
	for _, path := range []string{"/health", "/openapi.json", "/manifest.json", "/catalog/products", "/operations/parked", "/operations/schedules"} {
		got := admin.send(http.MethodHead, path, "").is(200)
		if len(got.Body) > 0 {
			t.Errorf("HEAD %s has a body: %s", path, got.Body)
		}
		if want := admin.get(path).Header.Get("Content-Type"); got.Header.Get("Content-Type") != want {
			t.Errorf("HEAD %s: Content-Type is %q, want %q", path, got.Header.Get("Content-Type"), want)
		}
	}
}

func identity(s *suite, t *testing.T) {
	for _, path := range []string{"/health", "/openapi.json", "/manifest.json"} {
		s.nobody(t).get(path).is(200)
	}
	if s.NeedsIdentity {
		for _, path := range []string{"/catalog/products", "/catalog/products/p", "/catalog/product/p/events", "/operations/parked", "/catalog/product-imports/k/report"} {
			r := s.nobody(t).get(path).refuses(401, "Unauthenticated")
			if r.Header.Get("X-Amzn-Remapped-Www-Authenticate") == "" { // as API Gateway calls a function's
				r.has("WWW-Authenticate", "Bearer")
			}
		}
		s.nobody(t).post("/catalog/product/p/add", tea).refuses(401, "Unauthenticated")
		s.nobody(t).post("/operations/sweep", "").refuses(401, "Unauthenticated")
		s.nobody(t).get("/nothing").refuses(404, "NotFound")
	}
	ann := s.ann(t)
	for _, x := range []string{
		"POST /catalog/product/p/add", "POST /catalog/product/p/update-price", "POST /catalog/category/c/add", "POST /catalog/category/c/archive",
		"POST /ordering/order/o/ship", "GET /catalog/product/p/events", "GET /catalog/product-demand/p/events", "GET /ordering/order/o/events",
		"GET /catalog/product-imports", "GET /catalog/product-imports/k", "GET /catalog/product-imports/k/report", "POST /catalog/product-imports/k/check",
		"GET /operations/parked", "GET /operations/rejections", "GET /operations/schedules", "POST /operations/run", "POST /operations/redrive", "POST /operations/sweep", "POST /operations/rebuild", "POST /operations/verify", "POST /operations/head",
	} {
		method, path, _ := strings.Cut(x, " ")
		ann.send(method, path, "").refuses(403, "Forbidden")
	}
	for _, path := range []string{"/catalog/products", "/catalog/categories", "/catalog/product-demands", "/ordering/available-products", "/ordering/customers", "/ordering/orders"} {
		ann.get(path).is(200)
	}
}

func erasure(s *suite, t *testing.T) {
	admin, ann, bob := s.admin(t), s.ann(t), s.bob(t)
	product := s.product(t)
	admin.becomes("/ordering/available-products/"+product, `{"id":"`+product+`","name":"Tea","price":9.99}`)
	c, o := s.customer(ann), s.id("order")
	at := "/ordering/customer/" + c
	order := `{"customerId":"` + c + `","productIds":["` + product + `"]}`
	ann.post("/ordering/order/"+o+"/place", order).is(200)

	bob.post(at+"/erase", "").refuses(404, "CustomerNotFound")
	ann.post(at+"/erase", "").is(200, outcome("Ordering.Customer", c, 2, "Erased"))
	ann.post(at+"/erase", "").is(200, outcome("Ordering.Customer", c, 2))

	// What is personal goes, and the rest stays.
	erased := `{"id":"` + c + `","email":"","address":"","deactivated":false,"erased":true}`
	ann.becomes("/ordering/customers/"+c, erased)
	ann.get("/ordering/customers/"+c+"?minVersion=2").is(200, erased)
	ann.get("/ordering/customers/"+c+"?version=1").is(200, strings.Replace(erased, `,"erased":true`, "", 1))
	history := string(admin.get(at + "/events").is(200).Body)
	if strings.Contains(history, "Main Street") || strings.Contains(history, c+"@") || !strings.Contains(history, `"data":{}`) || !strings.Contains(history, `"erased":["email","address"]`) {
		t.Errorf("the history of who is erased: %s", history)
	}
	ann.eventually("/ordering/orders/"+o, func(r *reply) bool { return r.Status == 200 })
	for _, of := range []string{"/register", "/update-email", "/update-address", "/deactivate"} {
		ann.post(at+of, map[string]string{
			"/register": `{"email":"` + c + `@example.com","address":"1 Main Street"}`, "/update-email": `{"email":"` + c + `@example.com"}`, "/update-address": `{"address":"1 Main Street"}`,
		}[of]).refuses(409, "CustomerErased")
	}
	ann.post("/ordering/order/"+s.id("order")+"/place", order).refuses(409, "CustomerErased")
}

func ownership(s *suite, t *testing.T) {
	admin, ann, bob := s.admin(t), s.ann(t), s.bob(t)
	product := s.product(t)
	admin.becomes("/ordering/available-products/"+product, `{"id":"`+product+`","name":"Tea","price":9.99}`)
	c := s.customer(ann)
	at := "/ordering/customer/" + c

	bob.post(at+"/update-email", `{"email":"bob@example.com"}`).refuses(404, "CustomerNotFound")
	bob.post(at+"/deactivate", "").refuses(404, "CustomerNotFound")
	ann.post(at+"/update-email", `{"email":"`+c+`@example.com"}`).is(200, outcome("Ordering.Customer", c, 1))
	admin.post(at+"/update-address", `{"address":"2 Main Street"}`).is(200, outcome("Ordering.Customer", c, 2, "AddressUpdated"))
	row := `{"id":"` + c + `","email":"` + c + `@example.com","address":"2 Main Street","deactivated":false}`
	ann.get("/ordering/customers/"+c+"?minVersion=2").is(200, row)
	ann.get("/ordering/customers/"+c+"?version=1").is(200, strings.Replace(row, "2 Main Street", "1 Main Street", 1))
	admin.becomes("/ordering/customers/"+c, row) // a read that waits for nothing may be behind, whatever another one has seen
	bob.get("/ordering/customers/"+c).refuses(404, "CustomerNotFound")

	// What is not there and what is somebody else's look the same.
	nowhere := s.id("nowhere")
	for _, version := range []string{"", "?minVersion=0", "?minVersion=1", "?minVersion=99", "?version=1", "?version=99"} {
		other := bob.get("/ordering/customers/" + c + version)
		none := bob.get("/ordering/customers/" + nowhere + version)
		if other.Status != none.Status || other.text("code") != none.text("code") ||
			strings.ReplaceAll(other.text("detail"), c, "") != strings.ReplaceAll(none.text("detail"), nowhere, "") {
			t.Errorf("with %q bob can tell ann's customer from none: %s, %s", version, other.Body, none.Body)
		}
	}

	o := s.id("order")
	ann.post("/ordering/order/"+o+"/place", `{"customerId":"`+c+`","productIds":["`+product+`"]}`).is(200)
	bob.post("/ordering/order/"+o+"/cancel", "").refuses(404, "OrderNotFound")
	bob.get("/ordering/orders/"+o).refuses(404, "OrderNotFound")
	ann.eventually("/ordering/orders/"+o, func(r *reply) bool { return r.Status == 200 })

	// An order that the shop places for a customer is the customer's.
	o2 := s.id("order")
	admin.post("/ordering/order/"+o2+"/place", `{"customerId":"`+c+`","productIds":["`+product+`"]}`).is(200)
	ann.eventually("/ordering/orders/"+o2, func(r *reply) bool { return r.Status == 200 })

	// The rows below an order are its customer's, too.
	lines := "/ordering/order-lines/" + o + "/items"
	line := `{"id":"` + o + `","subId":"` + product + `","productId":"` + product + `","customerId":"` + c + `","placedAt":"`
	shown := ann.eventually(lines, func(r *reply) bool { return r.Status == 200 && strings.Contains(string(r.Body), line) })
	if got := string(ann.get(lines + "?minVersion=1&limit=1").is(200).Body); got != string(shown.Body) {
		t.Errorf("order lines with a version: %s, without: %s", got, shown.Body)
	}
	ann.get(lines+"?minVersion=99").refuses(409, "VersionNotReached")
	ann.get(lines+"?productId="+product).refuses(400, "MalformedRequest")
	bob.get(lines).is(200, `{"items":[]}`)
	bob.get(lines+"?minVersion=99").is(200, `{"items":[]}`)
	ann.get("/ordering/order-lines/"+nowhere+"/items").is(200, `{"items":[]}`)
	ann.get("/ordering/order-lines/"+o).refuses(404, "NotFound")

	// Both orders count for the customer, in a view for those in charge.
	stats := "/ordering/customer-stats/" + c
	admin.eventually(stats, func(r *reply) bool {
		return r.Status == 200 && strings.Contains(string(r.Body), `{"id":"`+c+`","orders":2,"lastOrder":"`)
	})
	admin.get(stats+"?minVersion=1").refuses(400, "MalformedRequest")
	admin.get("/ordering/customer-stats/"+nowhere).refuses(404, "NotFound")
	ann.get(stats).refuses(403, "Forbidden")
	ann.get("/ordering/customer-stats").refuses(403, "Forbidden")

	holds := func(as actor, path, id string) bool {
		return slices.ContainsFunc(as.items(path), func(i json.RawMessage) bool { return strings.Contains(string(i), `"id":"`+id+`"`) })
	}
	for _, x := range []struct {
		as       actor
		path, id string
		want     bool
	}{
		{ann, "/ordering/customers?limit=200", c, true}, {ann, "/ordering/orders?limit=200", o, true}, {ann, "/ordering/orders?limit=1", o2, true},
		{admin, "/ordering/customer-stats?limit=2", c, true},
		{ann, "/ordering/order-lines?productId=" + product + "&limit=200", o, true}, {bob, "/ordering/order-lines?productId=" + product, o, false},
		{ann, "/ordering/orders?customerId=" + c, o, true}, {admin, "/ordering/orders?customerId=" + c, o, true},
		{bob, "/ordering/customers?limit=200", c, false}, {bob, "/ordering/orders?limit=200", o, false}, {bob, "/ordering/orders?customerId=" + c, o, false},
	} {
		if holds(x.as, x.path, x.id) != x.want {
			t.Errorf("GET %s as %s holds %s: want %v", x.path, x.as.user, x.id, x.want)
		}
	}
}

// A list tells nothing of others' rows, not even that there are some; nor does what
// a command is refused with tell of their aggregates.
func secrecy(s *suite, t *testing.T) {
	ann, bob := s.ann(t), s.bob(t)
	product := s.product(t)
	s.admin(t).becomes("/ordering/available-products/"+product, `{"id":"`+product+`","name":"Tea","price":9.99}`)
	c, nowhere := s.customer(ann), s.id("nowhere")
	place := `{"customerId":"` + c + `","productIds":["` + product + `"]}`
	var orders []string
	for range 3 {
		o := s.id("order")
		orders = append(orders, o)
		ann.post("/ordering/order/"+o+"/place", place).is(200)
		ann.eventually("/ordering/orders/"+o, func(r *reply) bool { return r.Status == 200 })
	}
	paged := "/ordering/orders?limit=1&customerId=" + c // lists may be behind
	ann.eventually(paged, func(*reply) bool { return len(ann.items(paged)) == 3 })
	for _, limit := range []string{"1", "2", "200"} {
		hers := bob.get("/ordering/orders?limit=" + limit + "&customerId=" + c)
		none := bob.get("/ordering/orders?limit=" + limit + "&customerId=" + nowhere)
		if hers.Status != 200 || !bytes.Equal(hers.Body, none.Body) {
			t.Errorf("by %s bob can tell ann's customer from none: %s, %s", limit, hers.Body, none.Body)
		}
	}
	page := ann.get("/ordering/orders?limit=1&customerId=" + c)
	next := page.text("next")
	for b := []byte(next); len(b) > 0; {
		for _, o := range orders {
			if bytes.Contains(b, []byte(o)) {
				t.Errorf("the cursor %s tells of the order %s", next, o)
			}
		}
		var err error
		if b, err = base64.RawURLEncoding.DecodeString(string(b)); err != nil {
			break
		}
	}

	// Ann's customer has a second version, one of her orders is shipped or cancelled.
	ann.post("/ordering/customer/"+c+"/update-address", `{"address":"2 Main Street"}`).is(200)
	ann.post("/ordering/order/"+orders[0]+"/cancel", "")
	again := s.customer(ann)
	ann.post("/ordering/customer/"+again+"/deactivate", "").is(200)
	for _, match := range [][]string{nil, {"If-Match", `"0"`}, {"If-Match", `"1"`}, {"If-Match", `"2"`}} {
		for _, o := range orders[:2] {
			r := bob.post("/ordering/order/"+o+"/place", place, match...)
			r.refuses(409, "OrderAlreadyPlaced")
			s.untold(t, r)
		}
		for _, id := range []string{c, again} {
			r := bob.post("/ordering/customer/"+id+"/register", `{"email":"b@example.com","address":"1"}`, match...)
			r.refuses(409, "CustomerAlreadyRegistered")
			s.untold(t, r)
		}
	}
}

// untold fails where an answer tells a version.
func (*suite) untold(t *testing.T, r *reply) {
	t.Helper()
	if r.Header.Get("ETag") != "" || strings.Contains(r.text("detail"), "version") {
		t.Errorf("it tells the version: %s %s", r.Header.Get("ETag"), r.Body)
	}
}

func idempotencyKeys(s *suite, t *testing.T) {
	admin, id := s.admin(t), s.id("p")
	at := "/catalog/product/" + id
	key := []string{"Idempotency-Key", "key ~!" + s.run}

	first := admin.post(at+"/add", tea, key...).is(200, outcome("Catalog.Product", id, 1, "Added"))
	admin.post(at+"/update-price", `{"price":1}`).is(200)
	again := admin.post(at+"/add", tea, key...).is(200).has("ETag", `"1"`)
	if !bytes.Equal(again.Body, first.Body) {
		t.Errorf("the same key again: %s, at first %s", again.Body, first.Body)
	}
	admin.post(at+"/add", `{"price":9.9900, "description":"Green", "name":" Tea "}`, key...).is(200, string(first.Body)) // the same payload
	admin.post(at+"/add", `{"name":"Coffee","description":"Green","price":9.99}`, key...).refuses(422, "IdempotencyKeyReused")
	admin.post(at+"/update-name", `{"name":"Tea"}`, key...).refuses(422, "IdempotencyKeyReused")
	admin.post(at+"/add", tea, "Idempotency-Key", "key ~!"+s.run, "If-Match", `"7"`).is(200, string(first.Body)) // what took effect did so
	other := s.id("p")
	admin.post("/catalog/product/"+other+"/add", tea, key...).is(200, outcome("Catalog.Product", other, 1, "Added"))
	admin.get("/catalog/products/"+id+"?minVersion=2").is(200).has("ETag", `"2"`)

	// A key belongs to its user.
	c := s.customer(s.ann(t))
	s.ann(t).post("/ordering/customer/"+c+"/update-address", `{"address":"2 Main Street"}`, key...).is(200, outcome("Ordering.Customer", c, 2, "AddressUpdated"))
	admin.post("/ordering/customer/"+c+"/update-address", `{"address":"3 Main Street"}`, key...).is(200, outcome("Ordering.Customer", c, 3, "AddressUpdated"))

	// What had no effect is judged again.
	gone := s.id("p")
	admin.post("/catalog/product/"+gone+"/update-price", `{"price":2}`, key...).refuses(404, "ProductNotFound")
	admin.post("/catalog/product/"+gone+"/add", tea).is(200)
	admin.post("/catalog/product/"+gone+"/update-price", `{"price":2}`, key...).is(200, outcome("Catalog.Product", gone, 2, "PriceUpdated"))

	for _, bad := range []string{"", strings.Repeat("k", 129), "ü", "a\tb"} {
		admin.post(at+"/update-price", `{"price":3}`, "Idempotency-Key", bad).refuses(400, "MalformedRequest")
	}
	admin.post(at+"/update-price", `{"price":3}`, "Idempotency-Key", "a", "Idempotency-Key", "b").refuses(400, "MalformedRequest")
	admin.post(at+"/update-price", `{"price":3}`, "Idempotency-Key", strings.Repeat("k", 128)).is(200)
}

func versions(s *suite, t *testing.T) {
	admin, id := s.admin(t), s.id("p")
	at := "/catalog/product/" + id
	admin.post(at+"/add", tea, "If-Match", `"1"`).refuses(412, "VersionMismatch")
	admin.post(at+"/add", tea, "If-Match", `"0"`).is(200)
	admin.post(at+"/update-price", `{"price":1}`, "If-Match", `"0"`).refuses(412, "VersionMismatch")
	admin.post(at+"/update-price", `{"price":1}`, "If-Match", `"1"`).is(200).has("ETag", `"2"`)
	admin.post(at+"/update-price", `{"price":2}`, "If-Match", `"1"`).refuses(412, "VersionMismatch")
	admin.post(at+"/add", tea, "If-Match", `"1"`).refuses(412, "VersionMismatch") // before the domain's own no
	for _, bad := range []string{`2`, `W/"2"`, `*`, `"2", "3"`, `""`, `"02"`, `"-1"`, `"+2"`, `"two"`, `"2`, ``, `"99999999999999999999"`, `"2.0"`} {
		admin.post(at+"/update-price", `{"price":2}`, "If-Match", bad).refuses(400, "MalformedRequest")
	}
	admin.post(at+"/update-price", `{"price":2}`, "If-Match", `"2"`, "If-Match", `"2"`).refuses(400, "MalformedRequest")
	admin.get("/catalog/products/"+id+"?minVersion=2").is(200).has("ETag", `"2"`)
}

func correlation(s *suite, t *testing.T) {
	admin, id := s.admin(t), s.product(t)
	given := "checkout " + s.run + " #1"
	admin.post("/catalog/product/"+id+"/update-price", `{"price":1}`, "X-Correlation-Id", given, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").
		is(200).has("X-Correlation-Id", given)
	admin.get("/catalog/product/"+id+"/events?limit=200", "X-Correlation-Id", given).has("X-Correlation-Id", given).eventHas(t, 1, "correlationId", given)
	admin.get("/nothing", "X-Correlation-Id", given).refuses(404, "NotFound").has("X-Correlation-Id", given)
	admin.post("/catalog/product/"+id+"/update-price", `{"price":2}`, "traceparent", "nonsense").is(200)

	made := map[string]bool{}
	for range 3 {
		made[admin.get("/health").Header.Get("X-Correlation-Id")] = true
	}
	if len(made) != 3 {
		t.Errorf("correlation ids that were made: %v, want three", made)
	}
	for _, bad := range []string{"", strings.Repeat("c", 129), "ü", "a\tb"} {
		got := admin.get("/catalog/products", "X-Correlation-Id", bad).refuses(400, "MalformedRequest").Header.Get("X-Correlation-Id")
		if got == bad || !printable.MatchString(got) {
			t.Errorf("for the correlation id %q the answer has %q, want one that was made", bad, got)
		}
	}
	admin.get("/health", "X-Correlation-Id", "a", "X-Correlation-Id", "b").refuses(400, "MalformedRequest")
}

// eventHas holds a member of a history's item.
func (r *reply) eventHas(t testing.TB, i int, name, want string) {
	t.Helper()
	var page struct{ Items []map[string]any }
	if err := json.Unmarshal(r.Body, &page); err != nil || i >= len(page.Items) || page.Items[i][name] != want {
		t.Fatalf("%s: item %d's %s is not %q: %s", r.request, i, name, want, r.Body)
	}
}

func rows(s *suite, t *testing.T) {
	admin, ann, id := s.admin(t), s.ann(t), s.id("p")
	admin.post("/catalog/product/"+id+"/add", `{"name":" <Tea> & \"more\" ","description":" as given ","price":9.9000}`).is(200)
	row := `{"id":"` + id + `","name":"<Tea> & \"more\"","description":" as given ","price":9.9}`
	at := "/catalog/products/" + id

	ann.get(at+"?minVersion=1").is(200, row).has("ETag", `"1"`).has("Content-Type", "application/json")
	ann.becomes(at, row)
	ann.becomes("/catalog/product-demands/"+id, `{"id":"`+id+`","name":"<Tea> & \"more\"","orderCount":0}`).has("ETag", "") // two sources
	for tag, status := range map[string]int{
		`"1"`: 304, `W/"1"`: 304, `"7", "1"`: 304, `*`: 304, `"2"`: 200, `1`: 200, `nonsense`: 200,
	} {
		r := ann.get(at, "If-None-Match", tag).is(status).has("ETag", `"1"`)
		if status == 304 && len(r.Body) > 0 {
			t.Errorf("%s: a 304 has a body: %s", r.request, r.Body)
		}
	}
	if got := ann.send(http.MethodHead, at, "").is(200).has("ETag", `"1"`); len(got.Body) > 0 {
		t.Errorf("HEAD %s has a body: %s", at, got.Body)
	}

	admin.post("/catalog/product/"+id+"/update-price", `{"price":0}`).is(200)
	ann.get(at+"?minVersion=2").is(200).has("ETag", `"2"`)
	ann.get(at + "?minVersion=0").is(200)
	ann.get(at+"?minVersion=3").refuses(409, "VersionNotReached")
	ann.get("/catalog/product-demands/" + id + "?minVersion=2").is(200)
	ann.get("/catalog/product-demands/"+id+"?minVersion=3").refuses(409, "VersionNotReached")
	no := s.id("no")
	ann.get("/catalog/products/"+no).refuses(404, "ProductNotFound")
	ann.get("/catalog/products/"+no+"?minVersion=0").refuses(404, "ProductNotFound")
	ann.get("/catalog/products/"+no+"?minVersion=1").refuses(409, "VersionNotReached")

	books := s.id("books")
	admin.post("/catalog/category/"+books+"/add", `{"name":"Books"}`).is(200)
	ann.get("/catalog/categories/"+books+"?minVersion=1").is(200, `{"id":"`+books+`","name":"Books","archived":false}`)
	admin.post("/catalog/product/"+id+"/change-category", `{"categoryId":"`+books+`"}`).is(200)
	ann.get(at+"?minVersion=3").is(200, row[:len(row)-len(`"price":9.9}`)]+`"price":0,"categoryId":"`+books+`"}`)

	// As it was
	ann.get(at+"?version=1").is(200, row).has("ETag", `"1"`)
	ann.get(at+"?version=2").is(200, row[:len(row)-len(`9.9}`)]+`0}`).has("ETag", `"2"`)
	ann.get(at+"?version=4").refuses(409, "VersionNotReached")
	ann.get("/catalog/products/"+no+"?version=1").refuses(404, "ProductNotFound")
	refused := ann.get("/catalog/product-demands/"+id+"?version=1").refuses(400, "MalformedRequest").text("detail")
	if !strings.Contains(refused, "Catalog.Product and Catalog.ProductDemand") {
		t.Errorf("a version of what is of two aggregates: %s", refused)
	}
}

func lists(s *suite, t *testing.T) {
	admin, ann := s.admin(t), s.ann(t)
	books := s.id("books")
	admin.post("/catalog/category/"+books+"/add", `{"name":"Books"}`).is(200)
	want := map[string]bool{}
	for i := range 7 {
		id := s.id("book")
		admin.post("/catalog/product/"+id+"/add", fmt.Sprintf(`{"name":"Book %d","description":"","price":%d,"categoryId":%q}`, i, i, books)).is(200)
		want[id] = true
	}
	var page struct{ Items []json.RawMessage }
	ann.eventually("/catalog/products?limit=200&categoryId="+books, func(r *reply) bool {
		return json.Unmarshal(r.is(200).Body, &page) == nil && len(page.Items) == len(want)
	})
	for _, query := range []string{"limit=1&", "limit=3&", "limit=200&", ""} {
		var got []string
		for _, item := range ann.items("/catalog/products?" + query + "categoryId=" + books) {
			var row struct{ ID, CategoryID string }
			if err := json.Unmarshal(item, &row); err != nil || row.CategoryID != books || !want[row.ID] {
				t.Errorf("with %q the list of %s holds %s", query, books, item)
			}
			got = append(got, row.ID)
		}
		slices.Sort(got)
		if len(slices.Compact(got)) != len(want) {
			t.Errorf("with %q the list of %s holds %v, want %d", query, books, got, len(want))
		}
	}
	count := func(category string, n int) {
		t.Helper()
		ann.becomes("/catalog/category-stats/"+category, fmt.Sprintf(`{"id":%q,"products":%d}`, category, n))
	}
	count(books, len(want))
	novels := s.id("novels")
	admin.post("/catalog/category/"+novels+"/add", `{"name":"Novels"}`).is(200)
	for id := range want {
		admin.post("/catalog/product/"+id+"/change-category", `{"categoryId":"`+novels+`"}`).is(200)
		break
	}
	count(books, len(want)-1)
	count(novels, 1)
	ann.get("/catalog/category-stats?sort=products").refuses(400, "MalformedRequest")
	if !slices.ContainsFunc(ann.items("/catalog/category-stats?limit=2"), func(i json.RawMessage) bool { return string(i) == `{"id":"`+novels+`","products":1}` }) {
		t.Errorf("the list of categories' stats does not hold %s", novels)
	}
	ann.get("/catalog/products?categoryId="+s.id("none")).is(200, `{"items":[]}`)
	if r := ann.get("/catalog/products?limit=2").is(200); json.Unmarshal(r.Body, &page) != nil || len(page.Items) > 2 {
		t.Errorf("%s: more than two items: %s", r.request, r.Body)
	}

	// A cursor is for its own pages only.
	next := func(as actor, path string) string {
		as.Helper()
		c := as.get(path).is(200).text("next")
		if c == "" {
			t.Fatalf("GET %s as %s has no next page", path, as.user)
		}
		return url.QueryEscape(c)
	}
	c := next(ann, "/catalog/products?limit=1&categoryId="+books)
	ann.get("/catalog/products?limit=5&categoryId=" + books + "&cursor=" + c).is(200) // another limit is fine
	s.bob(t).get("/catalog/products?categoryId=" + books + "&cursor=" + c).is(200)    // everybody's rows
	for _, path := range []string{
		"/catalog/products?", "/catalog/products?categoryId=" + s.id("other") + "&", "/catalog/categories?", "/ordering/available-products?", "/ordering/orders?",
	} {
		ann.get(path+"cursor="+c).refuses(400, "MalformedRequest")
	}
	for _, bad := range []string{"", "x", "%00", c[:len(c)-1], c + "A", "A" + c, "!", "%20" + c, c + "%3D"} {
		ann.get("/catalog/products?categoryId="+books+"&cursor="+bad).refuses(400, "MalformedRequest")
	}
	s.customer(ann)
	s.customer(ann)
	ann.eventually("/ordering/customers?limit=1", func(r *reply) bool { return r.text("next") != "" })
	own := next(ann, "/ordering/customers?limit=1")
	ann.get("/ordering/customers?cursor=" + own).is(200)
	s.bob(t).get("/ordering/customers?cursor="+own).refuses(400, "MalformedRequest")
	admin.get("/ordering/customers?cursor="+own).refuses(400, "MalformedRequest")
}

func queries(s *suite, t *testing.T) {
	admin := s.admin(t)
	for _, path := range []string{
		"/catalog/products?limit=0", "/catalog/products?limit=201", "/catalog/products?limit=-1", "/catalog/products?limit=", "/catalog/products?limit=ten",
		"/catalog/products?limit=1e1", "/catalog/products?limit=010", "/catalog/products?limit=%2B1", "/catalog/products?limit=1&limit=1", "/catalog/products?limit=99999999999999999999",
		"/catalog/products?nonsense=1", "/catalog/products?name=Tea", "/catalog/products?Limit=1", "/catalog/products?minVersion=1", "/catalog/products?categoryId=",
		"/catalog/products?categoryId=a&categoryId=b", "/catalog/products?categoryId=%ff", "/catalog/products?categoryId=%EF%BF%BD", "/catalog/products?limit=%zz", "/catalog/products?a;b", "/catalog/products?=1",
		"/catalog/products?categoryId=" + strings.Repeat("a", 1025),
		"/catalog/categories?categoryId=a", "/ordering/orders?customerId=a&status=placed",
		"/catalog/products/p?limit=1", "/catalog/products/p?minVersion=", "/catalog/products/p?minVersion=-1", "/catalog/products/p?minVersion=one",
		"/catalog/products/p?minVersion=1.0", "/catalog/products/p?minVersion=1&minVersion=1", "/catalog/products/p?minVersion=99999999999999999999",
		"/catalog/products/p?version=0", "/catalog/products/p?version=x", "/catalog/products/p?version=1&minVersion=1", "/catalog/products?version=1",
		"/catalog/product/p/events?minVersion=1", "/catalog/product/p/events?limit=0", "/catalog/product/p/events?cursor=x",
		"/catalog/product/p/events?from=0", "/catalog/product/p/events?from=x", "/catalog/product/p/events?from=99999999999",
		"/catalog/product-imports/k/report?x=1", "/operations/parked?limit=1", "/operations/parked?cursor=x", "/health?x", "/openapi.json?x=1", "/manifest.json?x=1",
	} {
		admin.get(path).refuses(400, "MalformedRequest")
	}
	admin.post("/catalog/product/p/add?dry=1", tea).refuses(400, "MalformedRequest")
	admin.post("/operations/sweep?cursor=x", "").refuses(400, "MalformedRequest")
	admin.get("/catalog/products?").is(200)
	admin.get("/catalog/products?limit=200").is(200)
	admin.get("/catalog/products?%6Cimit=1").is(200)
}

func histories(s *suite, t *testing.T) {
	admin, id := s.admin(t), s.id("p")
	at := "/catalog/product/" + id
	admin.post(at+"/add", `{"name":"Tea","description":"","price":1.50}`, "Idempotency-Key", "first", "X-Correlation-Id", "c-1").is(200)
	for i := range 5 {
		admin.post(at+"/update-price", fmt.Sprintf(`{"price":%d}`, i+2)).is(200)
	}
	type event struct {
		Version                  int
		Type, Time, User         string
		MessageID, CorrelationID string
		CausationID              *string
		Data                     json.RawMessage
	}
	for _, limit := range []string{"", "?limit=1", "?limit=4", "?limit=200"} {
		items := admin.items(at + "/events" + limit)
		if len(items) != 6 {
			t.Fatalf("with %q the history of %s has %d events, want 6", limit, id, len(items))
		}
		for i, item := range items {
			var e event
			if err := json.Unmarshal(item, &e); err != nil {
				t.Fatal(err)
			}
			want, data := "PriceUpdated", fmt.Sprintf(`{"price":%d}`, i+1)
			if i == 0 {
				want, data = "Added", `{"description":"","name":"Tea","price":1.5}`
				if e.MessageID != "first" || e.CorrelationID != "c-1" {
					t.Errorf("the first event's messageId and correlationId: %s", item)
				}
			}
			if e.Version != i+1 || e.Type != want || normal(t, e.Data) != data || e.User == "" || e.MessageID == "" || e.CorrelationID == "" || e.CausationID != nil {
				t.Errorf("event %d of %s: %s", i, id, item)
			}
			if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(e.Time) {
				t.Errorf("event %d of %s: time is %q, want RFC 3339 in UTC with milliseconds", i, id, e.Time)
			}
		}
	}
	cursor := admin.get(at + "/events?limit=1").text("next")
	admin.get(at + "/events?cursor=" + cursor).is(200)
	admin.get("/catalog/product/"+s.id("other")+"/events?cursor="+cursor).refuses(400, "MalformedRequest")

	// Who has a page already is sent nothing.
	tag := admin.get(at + "/events?limit=1").Header.Get("ETag")
	if got := admin.get(at+"/events?limit=1", "If-None-Match", tag).is(304).has("ETag", tag); tag == "" || len(got.Body) > 0 {
		t.Errorf("a page that is known already, of ETag %q, is sent again: %s", tag, got.Body)
	}

	// A page may start anywhere.
	if late := admin.items(at + "/events?limit=1&from=5"); len(late) != 2 || !strings.Contains(string(late[0]), `"version":5`) {
		t.Errorf("from version 5 on the history of %s is %s", id, late)
	}
	admin.get(at+"/events?from=7").is(200, `{"items":[]}`)
	for _, aggregate := range []string{"catalog/product", "catalog/category", "catalog/product-demand", "ordering/customer", "ordering/order"} {
		admin.get("/"+aggregate+"/"+s.id("none")+"/events").is(200, `{"items":[]}`)
	}

	// What a follower sent knows its cause.
	admin.eventually("/ordering/catalog-product/"+id+"/events", func(r *reply) bool { return strings.Count(string(r.Body), `"PriceUpdated"`) == 5 }).
		eventHas(t, 0, "type", "Synced")
	synced := admin.get("/ordering/catalog-product/" + id + "/events")
	synced.eventHas(t, 0, "correlationId", "c-1")
	synced.eventHas(t, 0, "causationId", "first")
	synced.eventHas(t, 0, "user", "system")
}

func orders(s *suite, t *testing.T) {
	admin, ann := s.admin(t), s.ann(t)
	p1, p2, c, o := s.product(t), s.product(t), s.customer(ann), s.id("o")
	for _, p := range []string{p1, p2} {
		ann.becomes("/ordering/available-products/"+p, `{"id":"`+p+`","name":"Tea","price":9.99}`)
	}
	at := "/ordering/order/" + o
	ann.post(at+"/place", `{"customerId":"`+c+`","productIds":["`+p1+`","`+p2+`","`+p1+`"]}`).is(200, outcome("Ordering.Order", o, 1, "Placed"))
	r := ann.eventually("/ordering/orders/"+o, func(r *reply) bool { return r.Status == 200 && r.text("status") != "placed" })
	if want := `{"id":"` + o + `","customerId":"` + c + `","productIds":["` + p1 + `","` + p2 + `"],"status":"shipped","placedAt":"` + r.text("placedAt") + `"}`; normal(t, r.Body) != normal(t, []byte(want)) {
		t.Errorf("the order is %s, want %s", r.Body, want)
	}
	ann.post(at+"/place", `{"customerId":"`+c+`","productIds":["`+p1+`"]}`).refuses(409, "OrderAlreadyShipped")
	ann.post(at+"/cancel", "").refuses(409, "OrderAlreadyShipped")
	admin.post(at+"/ship", "").is(200, outcome("Ordering.Order", o, 2))
	for _, p := range []string{p1, p2} {
		ann.becomes("/catalog/product-demands/"+p, `{"id":"`+p+`","name":"Tea","orderCount":1}`)
	}
	admin.get("/catalog/product-demand/"+p1+"/events").eventHas(t, 0, "type", "Recorded")
}

func dryRuns(s *suite, t *testing.T) {
	admin, ann, id := s.admin(t), s.ann(t), s.id("p")
	at := "/catalog/product/" + id
	const prefer, dry = "Prefer", "dry-run"
	// A dry run says what would happen, and nothing does.
	for range 2 {
		admin.post(at+"/add", tea, prefer, dry, "Idempotency-Key", id).is(200,
			`{"aggregate":"Catalog.Product","id":"`+id+`","version":0,"events":[{"type":"Added","data":`+tea+`}],"dryRun":true}`).has("Preference-Applied", dry)
	}
	admin.get(at).refuses(404, "NotFound")
	// Its key is not remembered.
	admin.post(at+"/add", tea, "Idempotency-Key", id).is(200, outcome("Catalog.Product", id, 1, "Added"))
	// The rejections are the same, and so is who may.
	admin.post(at+"/add", tea, prefer, dry).refuses(409, "ProductAlreadyExists")
	admin.post(at+"/update-price", `{"price":1}`, prefer, dry, "If-Match", `"7"`).refuses(412, "VersionMismatch")
	admin.post(at+"/update-price", `{"price":-1}`, prefer, dry).refuses(422, "InvalidPayload")
	ann.post(at+"/update-price", `{"price":1}`, prefer, dry).refuses(403, "Forbidden")
	// What has nothing to change has no events; other preferences are ignored.
	admin.post(at+"/update-price", `{"price":9.99}`, prefer, "respond-async, DRY-RUN").is(200,
		`{"aggregate":"Catalog.Product","id":"`+id+`","version":1,"events":[],"dryRun":true}`)
	for _, written := range []string{"dry-run; quietly", "dry-run=1", "wait=10; dry-run, dry-run ;a=b"} { // RFC 7240 lets it have a value and parameters
		admin.post(at+"/update-price", `{"price":2}`, prefer, written).is(200,
			`{"aggregate":"Catalog.Product","id":"`+id+`","version":1,"events":[{"type":"PriceUpdated","data":{"price":2}}],"dryRun":true}`)
	}
	admin.post(at+"/update-price", `{"price":2}`, prefer, "wait=10").is(200, outcome("Catalog.Product", id, 2, "PriceUpdated"))
}

func states(s *suite, t *testing.T) {
	admin, ann, bob := s.admin(t), s.ann(t), s.bob(t)
	id := s.product(t)
	at := "/catalog/product/" + id
	admin.post(at+"/update-price", `{"price":1}`).is(200)
	// A state is as of a version, the present one where none is named.
	price := func(r *reply, version int64, want float64) {
		t.Helper()
		var got struct {
			ID      string `json:"id"`
			Version int64  `json:"version"`
			State   struct{ Price float64 }
		}
		if err := json.Unmarshal(r.is(200).Body, &got); err != nil || got.ID != id || got.Version != version || got.State.Price != want {
			t.Errorf("%s answers %s, %v; want version %d with the price %v", r.request, r.Body, err, version, want)
		}
	}
	price(admin.get(at), 2, 1)
	price(admin.get(at+"?version=2"), 2, 1)
	price(admin.get(at+"?version=1"), 1, 9.99)
	admin.get(at+"?version=3").refuses(409, "VersionNotReached")
	for _, bad := range []string{"0", "-1", "x", ""} {
		admin.get(at+"?version="+bad).refuses(400, "MalformedRequest")
	}
	// It is for Admin and the owner: others can't tell it from none.
	c := s.customer(ann)
	admin.get("/ordering/customer/" + c).is(200)
	ann.get("/ordering/customer/" + c).is(200)
	bob.get("/ordering/customer/"+c).refuses(404, "NotFound")
	bob.get("/ordering/customer/nobody").refuses(404, "NotFound")
	// Ids are listed by pages, for Admin.
	ann.get("/catalog/product").refuses(403, "Forbidden")
	seen := map[string]bool{}
	for cursor := ""; ; {
		r := admin.get("/catalog/product?limit=200" + cursor).is(200)
		var page struct {
			Items []struct{ ID string }
			Next  string
		}
		if err := json.Unmarshal(r.Body, &page); err != nil {
			t.Fatal(err)
		}
		for _, x := range page.Items {
			if seen[x.ID] {
				t.Errorf("%s is listed twice", x.ID)
			}
			seen[x.ID] = true
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
	if !seen[id] {
		t.Errorf("%s is not among %d ids", id, len(seen))
	}
	admin.get("/catalog/product?cursor=x").refuses(400, "MalformedRequest")
	// Every aggregate has both.
	for _, p := range plugins.All(plugins.NoDeps{}) {
		for _, a := range p.Aggregates {
			list := "/" + naming.PathSegment(p.Name) + "/" + naming.PathSegment(naming.Short(a.Definition().Name))
			var page struct{ Items []struct{ ID string } }
			if err := json.Unmarshal(admin.get(list+"?limit=1").is(200).Body, &page); err != nil {
				t.Fatal(err)
			}
			for _, x := range page.Items {
				admin.get(list + "/" + url.PathEscape(x.ID)).is(200)
			}
		}
	}
}

func traces(s *suite, t *testing.T) {
	admin, ann, bob := s.admin(t), s.ann(t), s.bob(t)
	p, c, o := s.product(t), s.customer(ann), s.id("o")
	ann.becomes("/ordering/available-products/"+p, `{"id":"`+p+`","name":"Tea","price":9.99}`)
	ann.post("/ordering/order/"+o+"/place", `{"customerId":"`+c+`","productIds":["`+p+`"]}`).is(200)
	type branch struct {
		Follower, State string
		Event           *struct {
			Stream, Type string
			Data         json.RawMessage
		}
		Cause *struct {
			Follower, Stream string
			Version          int64
		}
		Then []branch
	}
	trace := func(as actor, stream, version string) (b branch, r *reply) {
		r = as.get("/operations/trace?stream=" + url.QueryEscape(stream) + "&version=" + version)
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatal(err)
		}
		return b, r
	}
	// followed is the branch of a follower, in any depth.
	var followed func(b branch, follower string) *branch
	followed = func(b branch, follower string) *branch {
		for _, x := range b.Then {
			if x.Follower == follower {
				return &x
			}
			if deep := followed(x, follower); deep != nil {
				return deep
			}
		}
		return nil
	}
	// An order is followed to its shipping, its view, its e-mail, and the other plugin's count.
	stream := "Ordering.Order#" + o
	ann.eventually("/operations/trace?stream="+url.QueryEscape(stream)+"&version=1", func(r *reply) bool {
		return r.Status == 200 && !strings.Contains(string(r.Body), `"pending"`) && !strings.Contains(string(r.Body), `"due"`)
	})
	whole, _ := trace(admin, stream, "1")
	for follower, event := range map[string]string{
		"mapping:Ordering.AutoShip": "Shipped", "readmodel:Ordering.Orders": "", "effect:Ordering.SendOrderConfirmation": "",
		"extension:Catalog.Orders_Extension": "Recorded", "readmodel:Catalog.ProductDemands": "",
	} {
		b := followed(whole, follower)
		if b == nil || b.State != "done" || (b.Event != nil) != (event != "") || b.Event != nil && b.Event.Type != event {
			t.Errorf("%s: %+v, want done with the event %q", follower, b, event)
		}
	}
	// What caused it leads back.
	shipped, r := trace(admin, stream, "2")
	if shipped.Cause == nil || shipped.Cause.Follower != "mapping:Ordering.AutoShip" || shipped.Cause.Stream != stream || shipped.Cause.Version != 1 {
		t.Errorf("the cause of the shipping: %s", r.Body)
	}
	// The owner sees no data of what is not theirs, others see nothing.
	own, r := trace(ann, stream, "1")
	if b := followed(own, "extension:Catalog.Orders_Extension"); own.Event.Data == nil || b == nil || b.Event == nil || b.Event.Data != nil {
		t.Errorf("the owner sees %s", r.Body)
	}
	_, r = trace(bob, stream, "1")
	r.refuses(404, "NotFound")
	_, r = trace(admin, stream, "9")
	r.refuses(404, "NotFound")
	_, r = trace(admin, "Ordering.Nothing#x", "1")
	r.refuses(404, "NotFound")
	admin.get("/operations/trace").refuses(400, "MalformedRequest")
	admin.get("/operations/trace?stream=x&version=1").refuses(400, "MalformedRequest")
	// Who asks is told who they are.
	if got := ann.get("/whoami").is(200).text("user"); !strings.HasPrefix(got, "ann") && got != "local" {
		t.Errorf("ann is %q", got)
	}
}

func imports(s *suite, t *testing.T) {
	if s.Import == nil {
		t.Skip("this shop's bucket can't be reached")
	}
	admin := s.admin(t)
	key := s.run + " Juni+1 ü.csv"
	good := s.id("imported")
	s.Import(t, key, []byte("id,name,description,price\n"+good+",Tea,Green,9.99\n,Coffee,,free\n"))
	at := "/catalog/product-imports/" + url.PathEscape(key)
	r := admin.eventually(at, func(r *reply) bool { return r.Status == 200 && r.text("status") != "running" })
	for name, want := range map[string]string{"status": `"finished"`, "rows": "2", "added": "1", "unchanged": "0", "rejected": "1"} {
		if got := r.member(name); got != want {
			t.Errorf("%s: %s is %s, want %s: %s", r.request, name, got, want, r.Body)
		}
	}
	if r.text("id") != key || r.text("report") != at+"/report" {
		t.Errorf("%s: id or report is wrong: %s", r.request, r.Body)
	}
	report := s.download(admin, r.text("report"))
	if !strings.HasPrefix(string(report.Body), "line,code,reason\n3,InvalidPrice,") {
		t.Errorf("the report of %s: %q", key, report.Body)
	}
	admin.get("/catalog/products/" + good + "?minVersion=1").is(200)
	admin.get("/catalog/product-import/"+url.PathEscape(key)+"/events").is(200).eventHas(t, 0, "type", "Started")
	s.ann(t).get(r.text("report")).refuses(403, "Forbidden")
	// The corrected file has no report, whatever is left of the first one's.
	s.Import(t, key, []byte("id,name,description,price\n"+good+",Tea,Green,9.99\n,Coffee,,3\n"))
	r = admin.eventually(at, func(r *reply) bool {
		return r.member("added") == "1" && r.member("unchanged") == "1" && r.text("status") == "finished"
	})
	if r.member("report") != "" {
		t.Errorf("%s: there is a report of nothing: %s", r.request, r.Body)
	}
	admin.get(at+"/report").refuses(404, "NotFound")
	// What was imported last is first in the list, whatever its key.
	s.Import(t, "A "+key, []byte("id,name,description,price\n"+good+",Tea,Green,9.99\n"))
	last := "/catalog/product-imports/" + url.PathEscape("A "+key)
	admin.eventually(last, func(r *reply) bool { return r.Status == 200 && r.text("status") == "finished" })
	var ours []string
	for _, item := range admin.items("/catalog/product-imports?sort=-startedAt") {
		var row struct{ ID string }
		if err := json.Unmarshal(item, &row); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(row.ID, key) {
			ours = append(ours, row.ID)
		}
	}
	if want := []string{"A " + key, key}; !slices.Equal(ours, want) {
		t.Errorf("the imports by when they were started, newest first, are %q, want %q", ours, want)
	}
}

// exports are files of the catalogue, which a schedule writes.
func exports(s *suite, t *testing.T) {
	admin, id := s.admin(t), s.product(t)
	admin.eventually("/catalog/products/"+id, func(r *reply) bool { return r.Status == 200 })
	const name = "Catalog.ExportProducts.Nightly"
	type schedule struct{ Name, Asked, Planned, Outcome string }
	find := func(r *reply) (found schedule) {
		t.Helper()
		var answer struct{ Items []schedule }
		if err := json.Unmarshal(r.is(200).Body, &answer); err != nil {
			t.Fatal(err)
		}
		for _, x := range answer.Items {
			if x.Name == name {
				found = x
			}
		}
		return found
	}
	before := find(admin.get("/operations/schedules"))
	admin.post("/operations/run", `{"schedule":"`+name+`"}`).is(200, `{"done":1}`)
	done := find(admin.eventually("/operations/schedules", func(r *reply) bool {
		x := find(r)
		return x.Asked == "" && x.Planned > before.Planned && x.Outcome != "running"
	}))
	if done.Outcome != "done" {
		t.Fatalf("the export ended as %+v", done)
	}
	at := "/catalog/export-products/products-" + done.Planned[:len(time.DateOnly)] + ".csv/report"
	if text := string(s.download(admin, at).Body); !strings.Contains(text, `"Tea","Green","9.99","`+id+`",""`+"\n") {
		t.Errorf("the file lacks %s:\n%.2000s", id, text)
	}
	s.ann(t).get(at).refuses(403, "Forbidden")
	admin.get("/catalog/export-products/none.csv/report").refuses(404, "NotFound")
}

// download is a report's content, wherever it lies.
func (s *suite) download(as actor, path string) *reply {
	as.Helper()
	r := as.get(path)
	if r.Status != http.StatusFound {
		r.is(200).has("Content-Type", "text/csv; charset=utf-8")
		if got := r.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment; filename") {
			as.Errorf("%s: Content-Disposition is %q", r.request, got)
		}
		return r
	}
	res, err := s.HTTP.Get(r.Header.Get("Location"))
	if err != nil {
		as.Fatal(err)
	}
	defer res.Body.Close()
	if r.Body, err = io.ReadAll(res.Body); err != nil {
		as.Fatal(err)
	}
	return r
}

// uploads are imports through the API.
func uploads(s *suite, t *testing.T) {
	admin := s.admin(t)
	key, id := s.run+" upload ü.csv", s.id("uploaded")
	content := "id,name,description,price\n" + id + ",Tea,Green,9.99\n"
	const at = "/catalog/product-imports/"
	// The API says where to send a file, which is imported then.
	asked := admin.post(at+"uploads", fmt.Sprintf(`{"key":%q,"size":%d}`, key, len(content))).is(200)
	target := asked.text("url")
	if target == "" || asked.text("expiresAt") == "" {
		t.Fatalf("where to send it: %s", asked.Body)
	}
	if strings.Contains(target, "://") {
		r, err := http.NewRequestWithContext(t.Context(), asked.text("method"), target, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			b, _ := io.ReadAll(res.Body)
			t.Fatalf("the bucket answers %d: %s", res.StatusCode, b)
		}
	} else {
		admin.send(asked.text("method"), "/"+target, content, "Content-Type", "text/csv").is(200)
	}
	admin.eventually(at+url.PathEscape(key), func(r *reply) bool {
		return r.Status == 200 && r.text("status") == "finished" && r.member("added") == "1"
	})
	admin.get("/catalog/products/" + id + "?minVersion=1").is(200)
	// It is for Admin, and says what is wrong.
	s.ann(t).post(at+"uploads", `{"key":"a.csv","size":1}`).refuses(403, "Forbidden")
	s.ann(t).send(http.MethodPut, at+"a.csv/content", "x").refuses(403, "Forbidden")
	for body, code := range map[string]string{`{"key":"a.csv"}`: "InvalidPayload", `{"size":1}`: "InvalidPayload", `{"key":"","size":1}`: "InvalidId", `{"key":"a.csv","size":-1}`: "InvalidId"} {
		admin.post(at+"uploads", body).refuses(422, code)
	}
}

// checks are imports that add nothing.
func checks(s *suite, t *testing.T) {
	admin, there, other := s.admin(t), s.product(t), s.id("checked")
	at := "/catalog/product-imports/" + url.PathEscape(s.run+" Juni ü.csv") + "/check"
	rows := func(r *reply) (rows string) {
		t.Helper()
		var answer struct {
			Outcomes []struct {
				Line            int
				Outcome, Reason string
			}
		}
		if err := json.Unmarshal(r.is(200).Body, &answer); err != nil {
			t.Fatal(err)
		}
		for _, o := range answer.Outcomes {
			rows += fmt.Sprintf("%d %s\n", o.Line, o.Outcome)
			if rejected := o.Outcome != "added" && o.Outcome != "unchanged"; rejected != (o.Reason != "") {
				t.Errorf("%s: line %d is %s, because %q", r.request, o.Line, o.Outcome, o.Reason)
			}
		}
		return rows
	}
	file := "id,name,description,price\n" + other + ",Tea,,9.99\n" + other + ",Tea,,9.99\n" + there + ",Other,,1\n,Coffee,,free\n"
	r := admin.post(at, file, "Content-Type", "text/csv")
	if got, want := rows(r), "2 added\n3 unchanged\n4 ProductAlreadyExists\n5 InvalidPrice\n"; got != want {
		t.Errorf("%s: rows %s, want %s", r.request, got, want)
	}
	for name, want := range map[string]string{"status": `"finished"`, "rows": "4", "added": "1", "unchanged": "1", "rejected": "2", "note": "", "reason": ""} {
		if got := r.member(name); got != want {
			t.Errorf("%s: %s is %s, want %s: %s", r.request, name, got, want, r.Body)
		}
	}
	admin.get("/catalog/products/"+other).refuses(404, "ProductNotFound")
	// Bytes come as they are, and an encoding that is named is taken.
	windows := "name;description;price\nCaf\xe9;;1,50\n"
	if got := rows(admin.post(at, windows, "Content-Type", "text/csv")); got != "2 InvalidEncoding\n" {
		t.Errorf("text of Windows, unnamed: %s", got)
	}
	r = admin.post(at+"?encoding=windows-1252", windows, "Content-Type", "text/csv")
	if got := rows(r); got != "2 added\n" || !strings.Contains(r.text("note"), "in windows-1252, with decimal commas") {
		t.Errorf("text of Windows: %s, %s", got, r.Body)
	}
	r = admin.post(at, "\xff\xfen\x00a\x00", "Content-Type", "application/octet-stream").is(200)
	if r.text("status") != "rejected" || !strings.Contains(r.text("reason"), "in UTF-16") || r.member("outcomes") != "[]" {
		t.Errorf("a header in UTF-16 alone: %s", r.Body)
	}
	if r = admin.post(at, "", "Content-Type", "text/csv").is(200); r.text("status") != "rejected" || !strings.HasPrefix(r.text("reason"), "the file is empty") {
		t.Errorf("an empty file: %s", r.Body)
	}
	long := file + strings.Repeat("\n", 300<<10) // longer than a command may be
	if got := rows(admin.post(at, long, "Content-Type", "text/csv")); !strings.HasPrefix(got, "2 added\n") {
		t.Errorf("a long file: %s", got)
	}
	admin.post(at, file, "Content-Type", "text/csv", "Content-Encoding", "br").refuses(415, "UnsupportedMediaType")
	admin.post(at+"?x=1", file, "Content-Type", "text/csv").refuses(400, "MalformedRequest")
}

func operations(s *suite, t *testing.T) {
	admin, id := s.admin(t), s.product(t)
	before := admin.get("/catalog/products/" + id + "?minVersion=1").is(200)
	admin.items("/operations/parked")
	admin.items("/operations/rejections?limit=1&follower=mapping:Ordering.AutoShip")
	admin.get("/operations/rejections?follower=mapping:Ordering.Nothing").refuses(404, "NotFound")
	admin.get("/operations/rejections?follower=").refuses(400, "MalformedRequest")
	for _, x := range []struct{ path, more string }{
		{"/operations/redrive", ""}, {"/operations/sweep", ""}, {"/operations/verify", ""}, {"/operations/rebuild", `"readModel":"Catalog.Products"`}, {"/operations/rebuild", `"readModel":"Catalog.Products","check":true`},
	} {
		body := "{" + x.more + "}"
		for steps := 0; ; steps++ {
			r := admin.post(x.path, body).is(200)
			if r.member("done") == "" {
				t.Fatalf("%s: no done: %s", r.request, r.Body)
			}
			cursor := r.text("next")
			if cursor == "" {
				break
			}
			if steps > 100_000 {
				t.Fatalf("%s: no end", r.request)
			}
			body = `{"cursor":"` + cursor + `"`
			if x.more != "" {
				body += "," + x.more
			}
			body += "}"
		}
		if x.more == "" {
			admin.post(x.path, "").is(200)
		}
	}
	admin.get("/catalog/products/"+id).is(200, string(before.Body)).has("ETag", `"1"`)
	if head := admin.post("/operations/head", `{"stream":"Catalog.Product#`+id+`","seq":0}`).is(200); !strings.Contains(string(head.Body), `"link":"`) {
		t.Errorf("the head of %s: %s", id, head.Body)
	}
	admin.post("/operations/head", `{"stream":"Catalog.Product#`+id+`","seq":1}`).is(200, `{"items":[]}`)

	cursor := admin.post("/operations/sweep", "").text("next")
	for _, x := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"/operations/rebuild", "", 400, "MalformedRequest"},
		{"/operations/rebuild", "{}", 422, "InvalidPayload"},
		{"/operations/rebuild", `{"readModel":1}`, 422, "InvalidPayload"},
		{"/operations/rebuild", `{"readModel":"Catalog.Nothing"}`, 404, "NotFound"},
		{"/operations/rebuild", `{"readModel":"Catalog.Nothing","check":true}`, 404, "NotFound"},
		{"/operations/rebuild", `{"readModel":"Catalog.Products","check":1}`, 422, "InvalidPayload"},
		{"/operations/rebuild", `{"readModel":"Catalog.Products","more":1}`, 422, "InvalidPayload"},
		{"/operations/rebuild", `{"readModel":"Catalog.Products","cursor":"x"}`, 400, "MalformedRequest"},
		{"/operations/rebuild", `{"readModel":"Catalog.Products","cursor":"` + cursor + `."}`, 400, "MalformedRequest"},
		{"/operations/sweep", `{"cursor":""}`, 422, "InvalidPayload"},
		{"/operations/sweep", `{"cursor":null}`, 422, "InvalidPayload"},
		{"/operations/sweep", `{"cursor":"x"}`, 400, "MalformedRequest"},
		{"/operations/sweep", `{"readModel":"Catalog.Products"}`, 422, "InvalidPayload"},
		{"/operations/sweep", `[]`, 422, "InvalidPayload"},
		{"/operations/sweep", `{`, 400, "MalformedRequest"},
		{"/operations/verify", `{"cursor":"x"}`, 400, "MalformedRequest"},
		{"/operations/head", `{"stream":"Catalog.Product#p"}`, 422, "InvalidPayload"},
		{"/operations/redrive", `{"cursor":"x"}`, 400, "MalformedRequest"},
		{"/operations/redrive", `{} {}`, 400, "MalformedRequest"},
		{"/operations/redrive", `{"consumer":"mapping:Ordering.AutoShip","stream":"Ordering.Order#none"}`, 404, "NotFound"},
		{"/operations/redrive", `{"consumer":"mapping:Nothing.Nothing","stream":"Ordering.Order#none"}`, 404, "NotFound"},
		{"/operations/redrive", `{"consumer":"mapping:Ordering.AutoShip"}`, 400, "MalformedRequest"},
		{"/operations/skip", `{"consumer":"mapping:Ordering.AutoShip","stream":"Ordering.Order#none","reason":"a test"}`, 404, "NotFound"},
		{"/operations/skip", `{"consumer":"mapping:Ordering.AutoShip","stream":"Ordering.Order#none"}`, 422, "InvalidPayload"},
		{"/operations/skip", "", 400, "MalformedRequest"},
	} {
		admin.post(x.path, x.body).refuses(x.status, x.code)
	}
	if cursor != "" {
		admin.post("/operations/redrive", `{"cursor":"`+cursor+`"}`).refuses(400, "MalformedRequest")
		admin.post("/operations/rebuild", `{"readModel":"Catalog.Products","cursor":"`+cursor+`"}`).refuses(400, "MalformedRequest")
	}
	admin.post("/operations/sweep", "{}", "Content-Type", "text/plain").refuses(415, "UnsupportedMediaType")
	admin.post("/operations/sweep", strings.Repeat(" ", 300_000)).refuses(413, "PayloadTooLarge")
}

func descriptions(s *suite, t *testing.T) {
	nobody := s.nobody(t)
	health := nobody.get("/health").is(200).has("Content-Type", "application/json")
	if got := health.text("status"); got != "ok" && got != "degraded" {
		t.Errorf("health's status is %q", got)
	}
	names := func(r *reply) (out []string) {
		var list []struct{ Name string }
		if err := json.Unmarshal([]byte(r.member("plugins")), &list); err != nil {
			t.Fatalf("%s: %v", r.request, err)
		}
		for _, p := range list {
			out = append(out, p.Name)
		}
		return out
	}
	var want []string
	for _, p := range plugins.All(plugins.NoDeps{}) {
		want = append(want, p.Name)
	}
	manifest := nobody.get("/manifest.json").is(200).has("Content-Type", "application/json")
	for _, r := range []*reply{health, manifest} {
		if got := names(r); !slices.Equal(got, want) {
			t.Errorf("%s: plugins are %v, want %v", r.request, got, want)
		}
	}
	openAPI := nobody.get("/openapi.json").is(200).has("Content-Type", "application/json")
	if !strings.HasPrefix(openAPI.text("openapi"), "3.1.") {
		t.Errorf("openapi is %q, want 3.1", openAPI.text("openapi"))
	}
	if bytes.Contains(openAPI.Body, []byte(`"required":null`)) {
		t.Error("the OpenAPI document has \"required\": null, which is no list")
	}

	// Every path of the manifest answers, and is in the OpenAPI document.
	var m struct {
		Plugins []struct {
			Aggregates []struct {
				Name, Path string
				Commands   []struct{ Path string }
			}
			ReadModels []struct{ Name, Aggregate, Path, Items string }
			Tasks      []struct{ Report, View string }
		}
	}
	if err := json.Unmarshal(manifest.Body, &m); err != nil {
		t.Fatal(err)
	}
	var documented map[string]json.RawMessage
	if err := json.Unmarshal([]byte(openAPI.member("paths")), &documented); err != nil {
		t.Fatal(err)
	}
	var paths []string
	var components, refers []string // names,, and what refers to them
	for _, ref := range regexp.MustCompile(`"x-ref":"([^"]*)"`).FindAllSubmatch(manifest.Body, -1) {
		refers = append(refers, string(ref[1]))
	}
	for _, p := range m.Plugins {
		for _, a := range p.Aggregates {
			components = append(components, a.Name)
			paths = append(paths, a.Path+"/events")
			for _, c := range a.Commands {
				paths = append(paths, c.Path)
			}
		}
		for _, r := range p.ReadModels {
			paths = append(paths, r.Path, cmp.Or(r.Items, r.Path+"/{id}"))
			components = append(components, r.Name)
			if r.Aggregate != "" {
				refers = append(refers, r.Aggregate)
			}
		}
		for _, task := range p.Tasks {
			if task.Report != "" {
				paths, refers = append(paths, task.Report), append(refers, task.View)
			}
		}
	}
	for _, p := range paths {
		if documented[p] == nil {
			t.Errorf("%s is in the manifest, not in the OpenAPI document", p)
		}
		s.admin(t).send(http.MethodDelete, strings.Replace(p, "{id}", "x", 1), "").refuses(405, "MethodNotAllowed")
	}
	for _, name := range refers {
		if !slices.Contains(components, name) {
			t.Errorf("the manifest refers to %q, which it does not have", name)
		}
	}
	if len(paths) < 30 {
		t.Errorf("the manifest has %d paths, want the whole shop's: %v", len(paths), paths)
	}
}

// Specified are the plugins whose scenarios see every route succeed. Those that are made
// later are held to what holds for any.
var Specified = []string{"Catalog", "Ordering"}

// anyPlugin sends every command of every plugin, with payloads that its schema allows: it
// takes effect, or is refused as documented, and what happened can be read.
func anyPlugin(s *suite, t *testing.T) {
	admin := s.admin(t)
	all := plugins.All(plugins.NoDeps{})
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for _, c := range plugintest.Commands(all) {
		aggregate := naming.Short(c.Aggregate)
		path := "/" + naming.PathSegment(c.Plugin) + "/" + naming.PathSegment(aggregate) + "/" + s.id("any")
		for range 3 {
			took := admin.post(path+"/"+naming.PathSegment(c.Name), c.Payload(r))
			switch took.Status {
			case 200:
				if page := admin.get(path + "/events").is(200); took.member("version") != "0" && page.member("items") == "[]" {
					t.Errorf("%s took effect, and there are no events: %s", took.request, page.Body)
				}
			case 403, 404, 409, 422:
			default:
				t.Errorf("%s: %d %s", took.request, took.Status, took.Body)
			}
		}
	}
	for _, p := range all {
		for _, m := range p.ReadModels {
			admin.get("/" + naming.PathSegment(p.Name) + "/" + naming.PathSegment(m.Name())).is(200)
		}
	}
}

// orderOfChecks holds that the first failure answers: each request has two
// mistakes.
func orderOfChecks(s *suite, t *testing.T) {
	admin, ann, bob := s.admin(t), s.ann(t), s.bob(t)
	p, c := s.product(t), s.customer(ann)
	update := "/catalog/product/" + p + "/update-price"
	large := strings.Repeat("x", 300_000)
	used := []string{"Idempotency-Key", "used"}
	admin.post(update, `{"price":1}`, used...).is(200)
	ann.post("/ordering/customer/"+c+"/update-address", `{"address":"2 Main Street"}`, used...).is(200)

	for name, x := range map[string]struct {
		got    *reply
		status int
		code   string
	}{
		"route before identity's group":      {ann.get("/operations/nothing"), 404, "NotFound"},
		"method before the group":            {ann.get("/operations/sweep"), 405, "MethodNotAllowed"},
		"group before media type":            {ann.post(update, tea, "Content-Type", "text/plain"), 403, "Forbidden"},
		"group before size":                  {ann.post(update, large), 403, "Forbidden"},
		"group before header":                {ann.post(update, tea, "If-Match", "1"), 403, "Forbidden"},
		"group before query":                 {ann.get("/operations/parked?x=1"), 403, "Forbidden"},
		"group before id":                    {ann.post("/catalog/product/a%20b/add", tea), 403, "Forbidden"},
		"group before body":                  {ann.post(update, `{`), 403, "Forbidden"},
		"media type before size":             {admin.post(update, large, "Content-Type", "text/plain"), 415, "UnsupportedMediaType"},
		"media type before header":           {admin.post(update, tea, "Content-Type", "text/plain", "If-Match", "1"), 415, "UnsupportedMediaType"},
		"media type before correlation id":   {admin.post(update, tea, "Content-Type", "text/plain", "X-Correlation-Id", "ü"), 415, "UnsupportedMediaType"},
		"size before header":                 {admin.post(update, large, "Idempotency-Key", ""), 413, "PayloadTooLarge"},
		"size before query":                  {admin.post(update+"?x=1", large), 413, "PayloadTooLarge"},
		"size before id":                     {admin.post("/catalog/product/a%20b/add", large), 413, "PayloadTooLarge"},
		"header before id":                   {admin.post("/catalog/product/a%20b/add", tea, "If-Match", "1"), 400, "MalformedRequest"},
		"query before id":                    {admin.post("/catalog/product/a%20b/add?x=1", tea), 400, "MalformedRequest"},
		"cursor before id":                   {admin.get("/catalog/product-import/%ff/events?cursor=x"), 400, "MalformedRequest"},
		"header before an invalid payload":   {admin.post(update, `{}`, "If-Match", "1"), 400, "MalformedRequest"},
		"id before a malformed body":         {admin.post("/catalog/product/a%20b/add", `{`), 422, "InvalidId"},
		"id before an invalid payload":       {admin.post("/catalog/product/a%20b/add", `{}`), 422, "InvalidId"},
		"malformed before invalid":           {admin.post(update, `{"cost":1,"cost":2}`), 400, "MalformedRequest"},
		"payload before owner":               {bob.post("/ordering/customer/"+c+"/update-address", `{}`), 422, "InvalidPayload"},
		"payload before version":             {admin.post(update, `{}`, "If-Match", `"99"`), 422, "InvalidPayload"},
		"payload before a key used already":  {admin.post(update, `{}`, used...), 422, "InvalidPayload"},
		"owner before a key used already":    {bob.post("/ordering/customer/"+c+"/update-address", `{"address":"x"}`, used...), 404, "CustomerNotFound"},
		"owner before version":               {bob.post("/ordering/customer/"+c+"/update-address", `{"address":"x"}`, "If-Match", `"99"`), 404, "CustomerNotFound"},
		"a key used already before version":  {admin.post(update, `{"price":7}`, append([]string{"If-Match", `"99"`}, used...)...), 422, "IdempotencyKeyReused"},
		"a key used already before a no":     {admin.post("/catalog/product/"+p+"/add", tea, used...), 422, "IdempotencyKeyReused"},
		"version before not found":           {admin.post("/catalog/product/"+s.id("no")+"/update-price", `{"price":1}`, "If-Match", `"1"`), 412, "VersionMismatch"},
		"version before a domain's no":       {admin.post("/catalog/product/"+p+"/add", tea, "If-Match", `"99"`), 412, "VersionMismatch"},
		"own rules before other aggregates'": {admin.post("/catalog/product/"+p+"/add", `{"name":"n","description":"","price":1,"categoryId":"`+s.id("no")+`"}`), 409, "ProductAlreadyExists"},
		"products before the customer":       {ann.post("/ordering/order/"+s.id("o")+"/place", `{"customerId":"`+s.id("no")+`","productIds":["`+s.id("no")+`"]}`), 409, "ProductNotAvailable"},
	} {
		t.Run(name, func(t *testing.T) { x.got.TB = t; x.got.refuses(x.status, x.code) })
	}
	if s.NeedsIdentity {
		s.nobody(t).get("/catalog/nothing").refuses(404, "NotFound")
		s.nobody(t).get("/operations/sweep").refuses(405, "MethodNotAllowed")
		s.nobody(t).post(update, large).refuses(401, "Unauthenticated")
		s.nobody(t).post("/catalog/product/a%20b/add", `{`, "If-Match", "1").refuses(401, "Unauthenticated")
	}
}
