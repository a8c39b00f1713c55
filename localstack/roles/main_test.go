// Package roles tests the roles that the stack gives its functions, on an emulator that
// enforces them: what the shop does is allowed, and nothing is allowed that it can do
// without. make e2e-roles deploys the shop there and runs this.
package roles

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/deployed"
	"onlineshop/plugins"
)

// deployment is the shop under test. Its clients are the account's root, who may do everything.
type deployment struct {
	url    string
	stack  deployed.Stack
	engine *engine.Engine
	rights rights

	lambda *lambda.Client
	iam    *iam.Client
	s3     *s3.Client
	tables *dynamodb.Client
}

var shop *deployment

func TestMain(m *testing.M) {
	if os.Getenv("SHOP_ROLES_API") == "" {
		fmt.Println("The suite of the roles tests a deployed shop: run it with make e2e-roles.")
		return
	}
	var err error
	if shop, err = find(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func find(ctx context.Context) (*deployment, error) {
	c, err := aws.LoadConfig(ctx)
	if err != nil {
		return nil, err
	}
	stack, err := deployed.Find(ctx, c, os.Getenv("SHOP_ROLES_OUTPUTS"))
	if err != nil {
		return nil, err
	}
	p, err := aws.New(aws.Options{Config: c, Wiring: stack.Wiring, Plugins: plugins.All(plugins.NoDeps{}), ReadOnly: true})
	if err != nil {
		return nil, err
	}
	s := &deployment{
		url: os.Getenv("SHOP_ROLES_API"), stack: stack, engine: p.Engine(),
		lambda: lambda.NewFromConfig(c), iam: iam.NewFromConfig(c), tables: dynamodb.NewFromConfig(c),
		s3: s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }),
	}
	s.rights, err = s.granted(ctx)
	return s, err
}

// patience is how long a condition may take to come true; it is only ever waited for in
// vain where something is wrong.
const patience = 90 * time.Second

// walk is one way through a part of what the shop does. What it makes has its id in its
// name. The first thing that goes wrong ends it.
type walk struct {
	context.Context
	id string
}

// failure is what ended a walk.
type failure struct{ error }

func (w walk) fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

func (w walk) ok(err error, doing string) {
	if err != nil {
		w.fail("%s: %w", doing, err)
	}
}

// walk walks through the part once.
func (p part) walk(ctx context.Context) (err error) {
	defer func() {
		if f, ok := recover().(failure); ok { // another panic is a mistake of the test's
			err = fmt.Errorf("%s: %w", p.name, f.error)
		}
	}()
	p.do(walk{ctx, fmt.Sprintf("%x", time.Now().UnixNano())})
	return nil
}

// eventually waits until done says so; saw is told where it never does.
func (w walk) eventually(what string, done func() (ok bool, saw any)) {
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, saw := done()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-w.Done():
			w.fail("%s: %w", what, w.Err())
		case <-deadline:
			w.fail("not within %s: %s; last seen: %v", patience, what, saw)
		}
	}
}

// send makes a request; as is who makes it, where it is not an administrator.
func (w walk) send(method, path, body string, as ...string) (status int, answer string) {
	r, err := http.NewRequestWithContext(w, method, shop.url+path, strings.NewReader(body))
	w.ok(err, path)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+w.token(as...))
	res, err := http.DefaultClient.Do(r)
	w.ok(err, path)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	w.ok(err, path)
	return res.StatusCode, string(bytes.TrimSpace(b))
}

// token is one of the test's identity provider, for an administrator or that user.
func (w walk) token(as ...string) string {
	who := url.Values{"sub": {"admin"}, "group": {es.Admin}}
	if len(as) > 0 {
		who = url.Values{"sub": as}
	}
	r, err := http.NewRequestWithContext(w, http.MethodGet, os.Getenv("SHOP_ROLES_ISSUER")+"/token?"+who.Encode(), nil)
	w.ok(err, "token")
	res, err := http.DefaultClient.Do(r)
	w.ok(err, "token")
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	w.ok(err, "token")
	return string(b)
}

// must is a request that is to be answered well.
func (w walk) must(method, path, body string, as ...string) string {
	status, answer := w.send(method, path, body, as...)
	if status != http.StatusOK {
		w.fail("%s %s %s: %d %s", method, path, body, status, answer)
	}
	return answer
}

func (w walk) post(path, body string, as ...string) { w.must(http.MethodPost, path, body, as...) }

// shows waits until what is there has that text.
func (w walk) shows(path, text string) {
	w.eventually("GET "+path+" shows "+text, func() (bool, any) {
		status, answer := w.send(http.MethodGet, path, "")
		return status == http.StatusOK && strings.Contains(answer, text), fmt.Sprint(status, answer)
	})
}

// lacks waits until nothing is there.
func (w walk) lacks(path string) {
	w.eventually("GET "+path+" finds nothing", func() (bool, any) {
		status, answer := w.send(http.MethodGet, path, "")
		return status == http.StatusNotFound, fmt.Sprint(status, answer)
	})
}

// operate does all steps of an operation.
func (w walk) operate(name, body string) {
	for cursor := ""; ; {
		say := strings.TrimSuffix("{"+body, ",")
		if cursor != "" {
			if body != "" {
				say += ","
			}
			say += `"cursor":"` + cursor + `"`
		}
		var p struct{ Next string }
		answer := w.must(http.MethodPost, "/operations/"+name, say+"}")
		w.ok(json.Unmarshal([]byte(answer), &p), name)
		if cursor = p.Next; cursor == "" {
			return
		}
	}
}
