package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// client is a caller of the HTTP API.
type client struct {
	base  string // without a slash at the end
	token string
	http  *http.Client
}

// newClient makes a client of the shop at addr, host:port or a URL.
func newClient(addr, token string) *client {
	return &client{baseURL(addr), token, &http.Client{Timeout: 2 * time.Minute}}
}

// patient is the client for steps of work that may be done twice: it asks again,
// for about a minute, while the shop is too busy to answer, and says so.
func (c *client) patient(out io.Writer) *client {
	again := retryablehttp.NewClient()
	again.HTTPClient, again.Logger, again.ErrorHandler = c.http, nil, retryablehttp.PassthroughErrorHandler
	again.RetryMax, again.RetryWaitMin, again.RetryWaitMax = 6, time.Second, 30*time.Second
	again.RequestLogHook = func(_ retryablehttp.Logger, _ *http.Request, attempt int) {
		if attempt > 0 {
			fmt.Fprintf(out, "the shop is too busy, or the function that does the work failed; trying again (%d of %d)\n", attempt, again.RetryMax)
		}
	}
	again.CheckRetry = func(ctx context.Context, r *http.Response, _ error) (bool, error) {
		busy := r != nil && (r.StatusCode == http.StatusServiceUnavailable || r.StatusCode == http.StatusTooManyRequests)
		return busy && ctx.Err() == nil, nil
	}
	again.Backoff = func(least, most time.Duration, n int, _ *http.Response) time.Duration {
		return retryablehttp.DefaultBackoff(least, most, n, nil) // longer and longer, where Retry-After always says a second
	}
	return &client{c.base, c.token, again.StandardClient()}
}

// baseURL is where a shop that listens at addr can be reached.
func baseURL(addr string) string {
	if strings.Contains(addr, "://") {
		return strings.TrimSuffix(addr, "/")
	}
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			addr = net.JoinHostPort("localhost", port)
		}
	}
	return "http://" + addr
}

// problem is an error answer of the API, RFC 9457.
type problem struct {
	Status        int    `json:"status"`
	Code          string `json:"code"`
	Title         string `json:"title"`
	Detail        string `json:"detail"`
	CorrelationID string `json:"correlationId"`
}

func (p *problem) Error() string {
	text := p.Code
	if d := cmp.Or(p.Detail, p.Title); d != "" {
		text += ": " + d
	}
	if p.Status >= http.StatusInternalServerError {
		text += " (correlation id " + p.CorrelationID + ")"
	}
	return text
}

// isProblem says whether the API answered with one of the codes.
func isProblem(err error, codes ...string) bool {
	var p *problem
	return errors.As(err, &p) && slices.Contains(codes, p.Code)
}

// unreachable is an error of getting to the shop at all.
type unreachable struct {
	base  string
	cause error
}

func (e *unreachable) Error() string {
	return fmt.Sprintf("no shop answers at %s (%v); start one with \"shop serve\", or say with --addr or SHOP_ADDR where it is", e.base, e.cause)
}

func (e *unreachable) Unwrap() error { return e.cause }

// get reads a resource. Errors are *problem and *unreachable.
func (c *client) get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, out)
}

// post sends a command or a step of work; key is its Idempotency-Key, if any.
func (c *client) post(ctx context.Context, path, key string, in, out any) error {
	return c.do(ctx, http.MethodPost, path, key, in, out)
}

// content is a body: of as many bytes as it says.
type content struct {
	mediaType string
	from      io.Reader
	size      int64
	headers   map[string]string // more of them
}

// target is where the API says that a file is to be sent.
type target struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"` // or a path below the API's root
	Headers map[string]string `json:"headers"`
}

// elsewhere says whether that is none of the API's own paths.
func (t target) elsewhere() bool { return strings.Contains(t.URL, "://") }

// deliver sends a file, which may take as long as it takes. An address elsewhere says by
// its signature who gave it: no token goes there.
func (c *client) deliver(ctx context.Context, to target, file *content) error {
	patient := &http.Client{Transport: c.http.Transport}
	file.headers = to.Headers
	if !to.elsewhere() {
		return (&client{c.base, c.token, patient}).send(ctx, to.Method, "/"+to.URL, "", file, nil)
	}
	r, err := newRequest(ctx, to.Method, to.URL, file)
	if err != nil {
		return errors.New("the shop says that the file is to be sent to an address that is none")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("send it to %s: %w", r.URL.Host, cause(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	var refusal struct{ Code, Message string } // of S3, in XML
	_ = xml.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&refusal)
	return fmt.Errorf("%s refuses it: %s", r.URL.Host, strings.Join(strings.Fields(answer.Status+" "+refusal.Code+" "+refusal.Message), " "))
}

func (c *client) do(ctx context.Context, method, path, key string, in, out any) error {
	if in == nil {
		return c.send(ctx, method, path, key, nil, out)
	}
	b, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return c.send(ctx, method, path, key, &content{"application/json", bytes.NewReader(b), int64(len(b)), nil}, out)
}

// newRequest makes one with a body of known length.
func newRequest(ctx context.Context, method, address string, body *content) (*http.Request, error) {
	if body == nil {
		return http.NewRequestWithContext(ctx, method, address, http.NoBody)
	}
	from := body.from
	if body.size == 0 {
		from = http.NoBody // as a length, 0 stands for one that is not known
	}
	r, err := http.NewRequestWithContext(ctx, method, address, from)
	if err != nil {
		return nil, err
	}
	r.ContentLength = body.size
	r.Header.Set("Content-Type", body.mediaType)
	for name, value := range body.headers {
		r.Header.Set(name, value)
	}
	return r, nil
}

// cause is an error without method and address, which its text repeats. The address of
// an upload is nobody else's business.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func (c *client) send(ctx context.Context, method, path, key string, body *content, out any) error {
	r, err := newRequest(ctx, method, c.base+path, body)
	if err != nil {
		return usagef("the address %s is none that a shop can be reached at: %v", c.base, err)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return &unreachable{c.base, cause(err)}
	}
	defer answer.Body.Close()
	if to, ok := out.(io.Writer); ok && answer.StatusCode == http.StatusOK {
		if _, err := io.Copy(to, answer.Body); err != nil {
			return fmt.Errorf("%s %s: the answer broke off, or can't be written: %w", method, path, err)
		}
		return nil
	}
	b, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: the answer broke off: %w", method, path, err)
	case answer.StatusCode >= http.StatusBadRequest:
		p := problem{Status: answer.StatusCode}
		if json.Unmarshal(b, &p) != nil || p.Code == "" {
			return fmt.Errorf("%s%s answered %s: is a shop listening there?", c.base, path, answer.Status)
		}
		return fmt.Errorf("%s %s: %w", method, path, &p)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s%s answered with something else than a shop's JSON: %w", c.base, path, err)
	}
	return nil
}

// page is a page of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// each reads a list page by page.
func each[T any](ctx context.Context, c *client, path string, yield func(T) error) error {
	for cursor := ""; ; {
		at := path
		if cursor != "" {
			sep := "?"
			if strings.Contains(path, sep) {
				sep = "&"
			}
			at += sep + "cursor=" + url.QueryEscape(cursor)
		}
		var p page[T]
		if err := c.get(ctx, at, &p); err != nil {
			return err
		}
		for _, item := range p.Items {
			if err := yield(item); err != nil {
				return err
			}
		}
		if cursor = p.Next; cursor == "" {
			return nil
		}
	}
}

// await asks again until done is true, or ctx ends.
func await(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
