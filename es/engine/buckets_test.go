package engine_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/platform/memory"
)

func TestBucketsThatDontFitTogetherAreExplained(t *testing.T) {
	watched := func(name string) es.Bucket {
		return es.Bucket{Name: name, OnRemoved: func(context.Context, es.Removed, es.Shop) error { return nil }}
	}
	task := func(name string, buckets ...es.Bucket) es.Task { return es.Task{Name: name, Buckets: buckets} }
	for _, x := range []struct {
		name  string
		tasks []es.Task // of a plugin Books; the last one of another, Films
		want  string
	}{
		{"no name", []es.Task{task("A", es.Bucket{Name: "My Lists"}), {}}, `task Books.A: "My Lists" can't be a bucket's name: write it as in price-lists`},
		{"that of reports", []es.Task{task("A", es.Bucket{Name: es.Reports}), {}}, `task Books.A: "reports" can't be a bucket's name: write it as in price-lists`},
		{"one that takes in files", []es.Task{{Name: "A", Bucket: "lists"}, task("B", watched("lists")), {}}, "task Books.B: the bucket lists takes in files for Books.A"},
		{"two who watch one", []es.Task{task("A", watched("lists")), task("B", watched("lists")), {}}, "task Books.B: what changes in the bucket lists sets off Books.A already"},
		{"another plugin's", []es.Task{task("A", es.Bucket{Name: "lists", Read: true}), task("B", es.Bucket{Name: "lists", Write: true})}, "task Films.B: the bucket lists is plugin Books's"},
	} {
		t.Run(x.name, func(t *testing.T) {
			last := len(x.tasks) - 1
			_, err := memory.New([]es.Plugin{{Name: "Books", Tasks: x.tasks[:last]}, {Name: "Films", Tasks: x.tasks[last:]}}, nil)
			if err == nil || err.Error() != x.want {
				t.Errorf("%v, want %s", err, x.want)
			}
		})
	}
	shared := []es.Task{task("A", watched("lists")), task("B", es.Bucket{Name: "lists", Read: true, Write: true})}
	if _, err := memory.New([]es.Plugin{{Name: "Books", Tasks: shared}}, nil); err != nil {
		t.Errorf("a bucket that two tasks share: %v", err)
	}
}

func TestACheckWritesNothing(t *testing.T) {
	// Given a task that writes what it is checked with
	task := es.Task{Name: "A", Check: func(ctx context.Context, _ es.Object, s es.Shop) (c es.Check, err error) {
		return c, s.Write(ctx, es.Reports, "r.csv", writing("x"))
	}}
	p, err := memory.New([]es.Plugin{{Name: "Books", Tasks: []es.Task{task}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// When it is checked
	if _, err := p.Engine().Check(t.Context(), "Books", task, es.Object{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	// Then there is no report
	if _, err := p.ReadObject(t.Context(), es.Reports, "Books.A/r.csv"); err == nil {
		t.Error("it has written one")
	}
}

func TestKeysThatAreNoFilesNameAreRefused(t *testing.T) {
	for _, key := range []string{"", ".hidden", "a/b", `a\b`, strings.Repeat("x", 201), "\xff"} {
		task := es.Task{Name: "A", OnObject: func(ctx context.Context, _ es.Object, s es.Shop) error {
			return s.Write(ctx, es.Reports, key, writing("x"))
		}}
		p, err := memory.New([]es.Plugin{{Name: "Books", Tasks: []es.Task{task}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = p.Engine().OnObject(t.Context(), "Books", task, es.Object{Key: "k"}, func() bool { return false })
		if err == nil || !strings.Contains(err.Error(), "can't be an object's key") {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func writing(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}
