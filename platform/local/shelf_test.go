package local

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"onlineshop/es"
)

// heard is what a task was told of its bucket.
type heard struct {
	mu   sync.Mutex
	all  []string
	fail error         // of each call
	more chan struct{} // closed when it is told again
}

func (h *heard) told(what, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, what+" "+id)
	close(h.more)
	h.more = make(chan struct{})
	return h.fail
}

// count is how often it was told so, of whichever upload.
func (h *heard) count(what, key string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.all {
		if len(x) > len(what)+len(key) && x[:len(what)+1+len(key)] == what+" "+key {
			n++
		}
	}
	return n
}

// until waits for what it is told.
func (h *heard) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	await(t, what, condition, func() <-chan struct{} {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.more
	})
}

// ids are the message ids of what it was told.
func (h *heard) ids() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(h.all)))
}

// papers is a plugin with a bucket that it watches.
func papers(h *heard) []es.Plugin {
	return []es.Plugin{{Name: "Papers", Tasks: []es.Task{{Name: "File", Buckets: []es.Bucket{{
		Name:      "papers",
		OnCreated: func(_ context.Context, o es.Object, _ es.Shop) error { return h.told("created", o.MessageID("x")) },
		OnRemoved: func(_ context.Context, r es.Removed, _ es.Shop) error { return h.told("removed", r.MessageID("x")) },
	}}}}}}
}

func TestABucketTellsOfWhatChangedWhileTheShopWasDown(t *testing.T) {
	// Given a bucket with two objects, of which the task was told
	h := &heard{more: make(chan struct{})}
	p := open(t, Options{Dir: t.TempDir(), Plugins: papers(h)})
	at := outside{p.Dir}
	ctx := t.Context()
	if err := errors.Join(at.PutObject(ctx, "papers", "a", []byte("1\n")), at.PutObject(ctx, "papers", "b", []byte("1\n"))); err != nil {
		t.Fatal(err)
	}
	h.until(t, "it is told of both", func() bool { return h.count("created", "a") == 1 && h.count("created", "b") == 1 })
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	// When one is removed, one replaced, and one comes while the shop is down
	err := errors.Join(at.RemoveObject(ctx, "papers", "a"), at.PutObject(ctx, "papers", "b", []byte("2\n")), at.PutObject(ctx, "papers", "c", []byte("1\n")))
	if err != nil {
		t.Fatal(err)
	}
	// Then the task is told after the next start, once of each
	open(t, Options{Dir: p.Dir, Plugins: papers(h)})
	h.until(t, "it is told of all", func() bool {
		return h.count("removed", "a") == 1 && h.count("created", "b") == 2 && h.count("created", "c") == 1
	})
	expect(t, "told", len(h.ids()), 5)
}

func TestATaskIsToldAgainOfTheSameUploadAfterACrash(t *testing.T) {
	// Given a task that fails on an object
	h := &heard{fail: errors.New("out of paper"), more: make(chan struct{})}
	p := open(t, Options{Dir: t.TempDir(), Plugins: papers(h)})
	if err := (outside{p.Dir}).PutObject(t.Context(), "papers", "a", []byte("1\n")); err != nil {
		t.Fatal(err)
	}
	h.until(t, "it has failed", func() bool { return h.count("created", "a") >= 1 })
	// When the shop crashes, and all files have other times in the copy of its folder
	again := &heard{more: make(chan struct{})}
	p = open(t, Options{Dir: crash(t, p), Plugins: papers(again)})
	// Then it is told again, of the same upload
	again.until(t, "it is told again", func() bool { return again.count("created", "a") == 1 })
	expect(t, "told again", again.ids(), h.ids())
	if err := (outside{p.Dir}).RemoveObject(t.Context(), "papers", "a"); err != nil {
		t.Fatal(err)
	}
	again.until(t, "it is told of the removal", func() bool { return again.count("removed", "a") == 1 })
}
