package local

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/clock"
)

// consumer does something with every commit: commits of one stream in their
// order, different streams side by side. Its mark is the position up to which
// all is done; from there it goes on after a restart. What is repeated then does
// no harm, because rows and cursors know where they are.
type consumer struct {
	name  string
	do    func(context.Context, engine.Commit) error
	store *store
	later *later
	log   *slog.Logger

	mu       sync.Mutex
	changed  sync.Cond // on mu: something below has changed
	stopping bool
	seen     int64                     // position of the last commit that is, or was, in hand
	inHand   []*slot                   // by position
	bytes    int                       // of what is in hand
	streams  map[engine.Stream][]*slot // what waits for its predecessors; a key has a goroutine
	workers  sync.WaitGroup            // those goroutines
	saved    int64                     // the mark as it is stored
}

// slot is a commit in hand.
type slot struct {
	placed
	done bool
}

// A consumer has at most so many commits and bytes in hand; its backlog stays on
// disk.
const (
	handCommits = 2048
	handBytes   = 16 << 20
)

func newConsumer(ctx context.Context, name string, s *store, l *later, log *slog.Logger, do func(context.Context, engine.Commit) error) (*consumer, error) {
	mark, err := s.mark(ctx, name)
	c := &consumer{name: name, do: do, store: s, later: l, log: log, seen: mark, saved: mark, streams: map[engine.Stream][]*slot{}}
	c.changed.L = &c.mu
	return c, err
}

// run hands out commits until it is stopped, and returns when no work is in hand.
func (c *consumer) run(ctx context.Context, stop <-chan struct{}) {
	release := context.AfterFunc(ctx, c.stop)
	defer release()
	defer c.workers.Wait()
	for {
		commits, known, changed := c.store.feed.after(c.seen)
		if !known {
			var err error
			if commits, err = c.store.after(ctx, c.seen); err != nil {
				c.log.WarnContext(ctx, "the log can't be read; trying again", "consumer", c.name, "error", err)
				if (clock.Clock{}).Sleep(ctx, time.Second) != nil {
					return
				}
				continue
			}
		}
		if len(commits) == 0 {
			select {
			case <-changed:
			case <-stop:
				return
			case <-ctx.Done():
				return
			}
		}
		for _, p := range commits {
			if !c.take(ctx, p) {
				return
			}
		}
	}
}

// take starts work on a commit as soon as there is room; false: stopped.
func (c *consumer) take(ctx context.Context, p placed) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.stopping && (len(c.inHand) >= handCommits || c.bytes >= handBytes) {
		c.changed.Wait()
	}
	if c.stopping {
		return false
	}
	s := &slot{placed: p}
	c.seen = p.position
	c.inHand = append(c.inHand, s)
	c.bytes += p.size
	queue, running := c.streams[p.Stream]
	c.streams[p.Stream] = append(queue, s)
	if !running {
		c.workers.Go(func() { c.work(ctx, p.Stream) })
	}
	return true
}

// work does a stream's commits until none waits.
func (c *consumer) work(ctx context.Context, st engine.Stream) {
	for {
		c.mu.Lock()
		queue := c.streams[st]
		if len(queue) == 0 || c.stopping {
			delete(c.streams, st)
			c.mu.Unlock()
			return
		}
		s := queue[0]
		c.streams[st] = queue[1:]
		c.mu.Unlock()
		if !c.handle(ctx, s.Commit) {
			return
		}
		c.finish(s)
	}
}

// handle does one commit, or puts it off; false: it is left for the next start.
func (c *consumer) handle(ctx context.Context, commit engine.Commit) bool {
	err := c.do(ctx, commit)
	for wait := 100 * time.Millisecond; err != nil; wait = min(2*wait, time.Minute) {
		if ctx.Err() != nil {
			return false
		}
		c.log.WarnContext(ctx, "put off: a commit could not be dealt with now", "consumer", c.name, "stream", commit.Stream, "seq", commit.Seq, "error", err)
		if err = c.later.add(ctx, firstRetry, job{consumer: c.name, Stream: commit.Stream, seq: commit.Seq}); err != nil && (clock.Clock{}).Sleep(ctx, wait) != nil {
			return false
		}
	}
	return true
}

func (c *consumer) finish(s *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.done = true
	for len(c.inHand) > 0 && c.inHand[0].done {
		c.bytes -= c.inHand[0].size
		c.inHand[0] = nil
		c.inHand = c.inHand[1:]
	}
	c.changed.Broadcast()
}

// stop lets no further commit be taken.
func (c *consumer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	c.changed.Broadcast()
}

// mark is the position up to which everything is done.
func (c *consumer) mark() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done()
}

// save stores the mark where it has moved.
func (c *consumer) save(ctx context.Context) error {
	m := c.mark()
	if m == c.saved {
		return nil
	}
	err := c.store.setMark(ctx, c.name, m)
	if err == nil {
		c.saved = m
	}
	return err
}

// waiting is the oldest commit that is not done; false: there is none.
func (c *consumer) waiting(ctx context.Context) (engine.Commit, bool, error) {
	c.mu.Lock()
	seen := c.seen
	if len(c.inHand) > 0 {
		defer c.mu.Unlock()
		return c.inHand[0].Commit, true, nil
	}
	c.mu.Unlock()
	commits, known, _ := c.store.feed.after(seen)
	if !known {
		var err error
		if commits, err = c.store.after(ctx, seen); err != nil {
			return engine.Commit{}, false, err
		}
	}
	if len(commits) == 0 {
		return engine.Commit{}, false, nil
	}
	return commits[0].Commit, true, nil
}

// reach waits until everything up to the position is done.
func (c *consumer) reach(ctx context.Context, position int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.done() < position {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s has done %d of %d commits: %w", c.name, c.done(), position, err)
		}
		c.changed.Wait()
	}
	return nil
}

// done is the mark, under the lock.
func (c *consumer) done() int64 {
	if len(c.inHand) > 0 {
		return c.inHand[0].position - 1
	}
	return c.seen
}
