package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// remote is a shop on another machine that has files sent to a bucket.
type remote struct {
	api, bucket *httptest.Server
	sent        atomic.Pointer[http.Request] // to the bucket
	text        []byte                       // of it, where it is short
	size        int64
	tokens      []string // that the API was told
	asked       map[string]any
	arrived     atomic.Pointer[func()] // called when the bucket has it; may be nil
}

// newRemote has the bucket answer as refuse says, or take what it is sent.
func newRemote(t *testing.T, refuse http.HandlerFunc) *remote {
	r := &remote{}
	r.bucket = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if refuse != nil {
			refuse(w, q)
			return
		}
		r.text, _ = io.ReadAll(io.LimitReader(q.Body, 1<<10))
		rest, err := io.Copy(io.Discard, q.Body)
		if err != nil {
			t.Error(err)
		}
		r.size = int64(len(r.text)) + rest
		if arrived := r.arrived.Load(); arrived != nil {
			(*arrived)()
		}
		r.sent.Store(q)
	}))
	t.Cleanup(r.bucket.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /prod/catalog/product-imports/uploads", func(w http.ResponseWriter, q *http.Request) {
		if err := json.NewDecoder(q.Body).Decode(&r.asked); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"method":"PUT","url":"%s/june.csv?X-Amz-Signature=test","headers":{"X-Amz-Meta-By":"shop"},"expiresAt":"2026-01-01T00:00:00Z"}`, r.bucket.URL)
	})
	mux.HandleFunc("GET /prod/catalog/product-imports/{key}", func(w http.ResponseWriter, q *http.Request) {
		r.tokens = append(r.tokens, q.Header.Get("Authorization"))
		if r.sent.Load() == nil {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"code":"ProductImportNotFound","status":404}`)
			return
		}
		fmt.Fprintf(w, `{"id":%q,"status":"finished","rows":1,"added":1,"startedAt":"2026-01-01T00:00:00Z"}`, q.PathValue("key"))
	})
	r.api = httptest.NewServer(mux)
	t.Cleanup(r.api.Close)
	return r
}

// runs runs the program in this process.
func runs(t *testing.T, args ...string) (code int, out, said string) {
	var o, e strings.Builder
	code = program{&o, &e}.Run(t.Context(), args...)
	return code, o.String(), e.String()
}

// An import needs the API's address and a token, nothing else.
func TestImportIntoAShopElsewhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "june.csv")
	if err := os.WriteFile(file, []byte("name,price\nCaf\xe9,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Given a shop whose files go to a bucket
	r := newRemote(t, nil)
	// When a file is imported
	code, out, said := runs(t, "import", "--addr", r.api.URL+"/prod", "--token", "test", "--encoding", "windows-1252", file)
	// Then the bucket has it as it was announced, in UTF-8, and the shop's answer is told
	const text = "name,price\nCafé,1\n"
	if code != exitOK || !strings.Contains(out, "june.csv: finished, 1 rows: 1 added") {
		t.Fatalf("exit code %d: %s%s", code, out, said)
	}
	sent := r.sent.Load()
	if string(r.text) != text || sent.ContentLength != int64(len(text)) || sent.Method != http.MethodPut || sent.Header.Get("X-Amz-Meta-By") != "shop" {
		t.Errorf("the bucket got %s %q of %d bytes with %v", sent.Method, r.text, sent.ContentLength, sent.Header)
	}
	if r.asked["key"] != "june.csv" || r.asked["size"] != float64(len(text)) {
		t.Errorf("the upload was announced as %v", r.asked)
	}
	// And who may do it is told to the shop alone
	if r.tokens[0] != "Bearer test" || sent.Header.Get("Authorization") != "" {
		t.Errorf("the shop was told %q, the bucket %q", r.tokens[0], sent.Header.Get("Authorization"))
	}
}

func TestABucketThatRefusesAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "june.csv")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		refuse http.HandlerFunc
		says   string
	}{
		"with a reason": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>`)
		}, "refuses it: 403 Forbidden AccessDenied Request has expired"},
		"without one": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTemporaryRedirect) }, "refuses it: 307 Temporary Redirect"},
		"by silence":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "send it to 127.0.0.1:"},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRemote(t, c.refuse)
			code, _, said := runs(t, "import", "--addr", r.api.URL+"/prod", file)
			if code != exitFailed || !strings.Contains(said, "import "+file+": ") || !strings.Contains(said, c.says) {
				t.Errorf("exit code %d: %s", code, said)
			}
			if strings.Contains(said, "Signature") {
				t.Errorf("it gives away where anybody could upload: %s", said)
			}
		})
	}
}

func TestAPipeIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "june.csv")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(pipe, os.O_RDWR, 0) // or opening it would wait for one
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r := newRemote(t, nil)
	if code, _, said := runs(t, "import", "--addr", r.api.URL+"/prod", pipe); code != exitFailed || !strings.Contains(said, "save it as one") {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// A file is sent as it is read: the program stays small, however large it is.
func TestALargeFileIsStreamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large.csv")
	if err := os.WriteFile(file, []byte("name,price\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const size = 512 << 20
	if err := os.Truncate(file, size); err != nil { // sparse
		t.Fatal(err)
	}
	r := newRemote(t, nil)
	shop := exec.CommandContext(t.Context(), plainBinary, "import", "--addr", r.api.URL+"/prod", file)
	var peak atomic.Int64
	started := make(chan struct{})
	look := func() {
		<-started
		peak.Store(peakMemory(t, shop))
	}
	r.arrived.Store(&look)
	var out lockedBuffer
	shop.Stdout, shop.Stderr = &out, &out
	if err := shop.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	if err := shop.Wait(); err != nil || r.size != size {
		t.Fatalf("%d bytes arrived: %v: %s", r.size, err, out.String())
	}
	if peak := peak.Load(); peak > size/4 {
		t.Errorf("peak memory is %d MiB", peak>>20)
	}
}

// brokenOff reads a while, then fails.
type brokenOff struct{ io.Reader }

func (b brokenOff) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("the disk is gone")
	}
	return n, err
}

func TestAnUploadThatBreaksOffLeavesNothing(t *testing.T) {
	// Given a shop, and an upload of which the first half arrived
	p := start(t, binary, t.TempDir())
	text := header + "half1,Half,,1\nhalf2,Half,,1\n"
	half := brokenOff{strings.NewReader(text[:len(text)-14])}
	err := p.deliver(t.Context(), target{Method: http.MethodPut, URL: "catalog/product-imports/half.csv/content"}, &content{"text/csv", half, int64(len(text)), nil})
	if err == nil || !strings.Contains(err.Error(), "the disk is gone") {
		t.Fatalf("the upload ended with %v", err)
	}
	// When another one of that name comes
	whole := filepath.Join(t.TempDir(), "half.csv")
	if err := os.WriteFile(whole, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and again
		if code, out, said := runs(t, "import", "--addr", p.base, whole); code != exitOK {
			t.Fatalf("exit code %d: %s%s", code, out, said)
		}
	}
	// Then there are imports of whole files alone
	if r := p.imported("half.csv", time.Time{}); r.Rows != 2 || r.Unchanged != 2 || r.Size != int64(len(text)) {
		t.Errorf("the latest import is %+v", r)
	}
	if runs := list[importRun](p, "/catalog/product-imports"); len(runs) != 1 {
		t.Errorf("there are imports %+v", runs)
	}
	if left, _ := filepath.Glob(filepath.Join(p.data, bucket, ".import-*")); len(left) > 0 {
		t.Errorf("there is left %v", left)
	}
}
