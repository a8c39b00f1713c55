package platformtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// The library's buckets: what is put into the first is noted with a reader of its own, and
// copied to the second.
const (
	listsBucket  = "lists"
	copiesBucket = "list-copies"
)

func fileList(ctx context.Context, o es.Object, s es.Shop) error {
	r, err := o.Open(ctx, 0)
	if errors.Is(err, es.ErrObjectGone) {
		return nil // of which the platform tells, too
	}
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	err = s.Write(ctx, copiesBucket, o.Key, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "copy of %s", text)
		return err
	})
	if err != nil {
		return err
	}
	return s.Execute(ctx, es.TaskCommand{Command: reader.Command("list-"+o.Key, note{"Note", string(text)}), MessageID: o.MessageID("note")})[0].Err
}

// strikeList notes with a removed list what its copy says.
func strikeList(ctx context.Context, r es.Removed, s es.Shop) error {
	body, err := s.Read(ctx, copiesBucket, r.Key)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	return s.Execute(ctx, es.TaskCommand{Command: reader.Command("list-"+r.Key, note{"Note", "no more: " + string(text)}), MessageID: r.MessageID("note")})[0].Err
}

func testBuckets(t *testing.T, p Ports) {
	s := scene{t, p}
	put := func(key, content string) {
		t.Helper()
		if err := p.Objects.PutObject(t.Context(), listsBucket, key, []byte(content)); err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
	noted := func(key string, want ...string) {
		t.Helper()
		for {
			s.settle()
			got := s.events(readerName, "list-"+key)
			if len(got) >= len(want) || t.Context().Err() != nil {
				same(t, "notes of "+key, got, want)
				return
			}
		}
	}
	t.Run("what is put into a bucket, replaced and removed sets off the task", func(t *testing.T) {
		put("a +ü.txt", "one")
		noted("a +ü.txt", "Noted one")
		put("a +ü.txt", "two")
		noted("a +ü.txt", "Noted one", "Noted two")
		if err := p.Objects.RemoveObject(t.Context(), listsBucket, "a +ü.txt"); err != nil {
			t.Fatalf("remove: %v", err)
		}
		noted("a +ü.txt", "Noted one", "Noted two", "Noted no more: copy of two")
		put("a +ü.txt", "two")
		noted("a +ü.txt", "Noted one", "Noted two", "Noted no more: copy of two", "Noted two")
	})
	t.Run("what was written is read whole", func(t *testing.T) {
		buckets := p.Engine.Buckets
		big := strings.Repeat("x", 1<<20)
		var wg sync.WaitGroup
		for _, text := range []string{big, big + big} {
			wg.Go(func() {
				for range 5 {
					if err := buckets.WriteObject(t.Context(), copiesBucket, "big", func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
						t.Errorf("write: %v", err)
					}
				}
			})
		}
		wg.Go(func() {
			for range 10 {
				r, err := buckets.ReadObject(t.Context(), copiesBucket, "big")
				if errors.Is(err, es.ErrObjectGone) {
					continue // it is not there yet
				}
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				text, err := io.ReadAll(r)
				if err = errors.Join(err, r.Close()); err != nil || len(text) != len(big) && len(text) != 2*len(big) {
					t.Errorf("read %d bytes, %v", len(text), err)
				}
			}
		})
		wg.Wait()
	})
	t.Run("a write that fails leaves what was there", func(t *testing.T) {
		buckets, down := p.Engine.Buckets, errors.New("the line is down")
		write := func(text string, err error) error {
			return buckets.WriteObject(t.Context(), copiesBucket, "kept", func(w io.Writer) error {
				_, _ = io.WriteString(w, text)
				return err
			})
		}
		if err := write("first", nil); err != nil {
			t.Fatalf("write: %v", err)
		}
		if err := write("half", down); !errors.Is(err, down) {
			t.Errorf("the error is %v", err)
		}
		r, err := buckets.ReadObject(t.Context(), copiesBucket, "kept")
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		text, err := io.ReadAll(r)
		same(t, "object", string(text), "first")
		if err = errors.Join(err, r.Close()); err != nil {
			t.Error(err)
		}
		if _, err := buckets.ReadObject(t.Context(), copiesBucket, "never"); !errors.Is(err, es.ErrObjectGone) {
			t.Errorf("an object that was never there: %v", err)
		}
	})
	t.Run("a task that is told twice notes once", func(t *testing.T) {
		plugin, task, bucket := filing(p.Engine)
		o := es.Object{Key: "twice", ETag: "1", Upload: "1", Size: 3, Open: func(context.Context, int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("one")), nil
		}}
		for range 2 {
			err := errors.Join(
				p.Engine.OnCreated(t.Context(), plugin, task, bucket, o, never),
				p.Engine.OnRemoved(t.Context(), plugin, task, bucket, es.Removed{Key: "twice", Upload: "2"}, never))
			if err != nil {
				t.Fatal(err)
			}
		}
		same(t, "notes", s.events(readerName, "list-twice"), []string{"Noted one", "Noted no more: copy of one"})
	})
	t.Run("a task has the rights that it declares", func(t *testing.T) {
		plugin, task, bucket := filing(p.Engine)
		bucket.OnCreated = func(ctx context.Context, _ es.Object, s es.Shop) error {
			return s.Write(ctx, listsBucket, "mine", func(io.Writer) error { return nil })
		}
		if err := p.Engine.OnCreated(t.Context(), plugin, task, bucket, es.Object{Key: "k"}, never); !errors.Is(err, engine.ErrBucketRight) {
			t.Errorf("it writes to a bucket that it only reads: %v", err)
		}
	})
}

func never() bool { return false }

// filing is the task with buckets.
func filing(e *engine.Engine) (plugin string, t es.Task, watched es.Bucket) {
	for _, p := range e.Plugins {
		for _, t := range p.Tasks {
			for _, b := range t.Buckets {
				if b.Name == listsBucket {
					return p.Name, t, b
				}
			}
		}
	}
	panic("the library has no bucket " + listsBucket)
}
