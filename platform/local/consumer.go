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
	name       string
	aggregates map[string]bool // whose commits concern it
	workers    int
	do         func(context.Context, engine.Commit) error
	store      *store
	later      *jobQueue
	log        *slog.Logger

	mu       sync.Mutex
	changed  sync.Cond // on mu: there is more room, or more is done
	work     sync.Cond // on mu: ready has another stream
	stopping bool
	seen     int64                     // position of the last commit that is, or was, in hand
	inHand   []*slot                   // by position
	bytes    int                       // of what is in hand
	streams  map[engine.Stream][]*slot // what waits for its turn; a worker has the stream, or it is in ready
	ready    []engine.Stream           // whose first commit can be done

	few chan struct{} // held by those who work while the writer is busy
}

// slot is a commit in hand.
type slot struct {
	positioned
	done bool
}

// A consumer has at most so many commits and bytes in hand; its backlog stays on
// disk.
const (
	handCommits = 2048
	handBytes   = 16 << 20
)

// throttledWorkers is how many commits a consumer does at a time while the writer is
// busy.
const throttledWorkers = 8

// newConsumer makes a consumer of the aggregates' commits that goes on from its
// mark.
func newConsumer(ctx context.Context, name string, aggregates map[string]bool, workers int, s *store, l *jobQueue, log *slog.Logger, do func(context.Context, engine.Commit) error) (*consumer, error) {
	mark, err := s.mark(ctx, name)
	c := &consumer{
		name: name, aggregates: aggregates, workers: workers, do: do, store: s, later: l, log: log,
		seen: mark, streams: map[engine.Stream][]*slot{}, few: make(chan struct{}, throttledWorkers),
	}
	c.changed.L, c.work.L = &c.mu, &c.mu
	return c, err
}

// run does commits until it is stopped, and returns when no work is in hand.
func (c *consumer) run(ctx context.Context, stop <-chan struct{}) {
	release := context.AfterFunc(ctx, c.stop)
	defer release()
	var workers sync.WaitGroup
	defer workers.Wait()
	for range c.workers {
		workers.Go(func() { c.serve(ctx) })
	}
	for {
		commits, known, changed := c.store.feed.after(c.seen)
		if !known {
			var err error
			if commits, err = c.store.after(ctx, c.seen, c.aggregates); err != nil {
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
			if !c.take(p) {
				return
			}
		}
	}
}

// take puts a commit in hand as soon as there is room; false: stopped.
func (c *consumer) take(p positioned) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.stopping && (len(c.inHand) >= handCommits || c.bytes >= handBytes) {
		c.changed.Wait()
	}
	if c.stopping {
		return false
	}
	c.seen = p.position
	concerned := c.aggregates[p.Stream.Aggregate]
	if !concerned && len(c.inHand) == 0 {
		c.changed.Broadcast()
		return true
	}
	s := &slot{p, !concerned}
	c.inHand = append(c.inHand, s)
	if !concerned {
		return true
	}
	c.bytes += p.size
	queue, known := c.streams[p.Stream]
	c.streams[p.Stream] = append(queue, s)
	if !known {
		c.ready = append(c.ready, p.Stream)
		c.work.Signal()
	}
	return true
}

// serve does one commit after the other until the consumer is stopped.
func (c *consumer) serve(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.ready) == 0 && !c.stopping {
			c.work.Wait()
		}
		if c.stopping {
			return
		}
		st := c.ready[0]
		c.ready = c.ready[1:]
		s := c.streams[st][0]
		c.mu.Unlock()
		ok := c.throttled(func() bool { return c.handle(ctx, s.Commit) })
		c.mu.Lock()
		if !ok {
			return
		}
		c.finish(s)
		if c.streams[st] = c.streams[st][1:]; len(c.streams[st]) > 0 {
			c.ready = append(c.ready, st) // this worker or another goes on
			c.work.Signal()
		} else {
			delete(c.streams, st)
		}
	}
}

// throttled lets few commits be done side by side while users or imports keep the
// writer busy, who wait for their answers.
func (c *consumer) throttled(do func() bool) bool {
	if c.store.writer.underLoad.Load() {
		c.few <- struct{}{}
		defer func() { <-c.few }()
	}
	return do()
}

// handle does one commit, or puts it off; false: it is left for the next start.
func (c *consumer) handle(ctx context.Context, commit engine.Commit) bool {
	err := engine.Guarded(c.name, func() error { return c.do(ctx, commit) })
	for wait := 100 * time.Millisecond; err != nil; wait = min(2*wait, time.Minute) {
		if ctx.Err() != nil {
			return false
		}
		c.log.WarnContext(ctx, "deferred: a commit could not be processed; it will be retried", "consumer", c.name, "stream", commit.Stream, "seq", commit.Seq, "error", err)
		if err = c.later.add(ctx, firstRetry, job{consumer: c.name, Stream: commit.Stream, seq: commit.Seq}); err != nil && (clock.Clock{}).Sleep(ctx, wait) != nil {
			return false
		}
	}
	return true
}

// finish notes that a commit is done, under the lock.
func (c *consumer) finish(s *slot) {
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
	c.work.Broadcast()
}

// mark is the position up to which everything is done.
func (c *consumer) mark() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done()
}

// waiting is the oldest commit that is not done; nil: there is none.
func (c *consumer) waiting(ctx context.Context) (oldest *engine.Commit, err error) {
	c.mu.Lock()
	done := c.done()
	c.mu.Unlock()
	if done >= c.store.feed.last() {
		return nil, nil
	}
	err = c.store.at(ctx, done+1, func(p positioned) bool {
		oldest = &p.Commit
		return true
	})
	return oldest, err
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
