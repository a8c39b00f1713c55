package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/clock"
	"onlineshop/platform/internal/lanes"
)

// consumer does something with every commit: live ones at once, all others in the order
// of the log, those of one stream one at a time. Its mark is the position up to which
// all is done; from there it goes on after a restart. What is repeated then does no
// harm, because rows and cursors know where they are.
type consumer struct {
	name       string
	aggregates map[string]bool // whose commits concern it
	workers    [2]int          // by lane
	do         func(context.Context, engine.Commit) error
	store      *store
	later      *jobQueue
	log        *slog.Logger

	mu       sync.Mutex
	changed  sync.Cond    // on mu: there is more room, or more is done
	work     [2]sync.Cond // on mu, by lane: there is more to do
	stopping bool
	lanes    *lanes.Lanes[*engine.Commit]

	few chan struct{} // held by bulk workers while there is live work
}

// A consumer's pass has at most so many commits and bytes in hand; its backlog stays on
// disk.
const (
	handCommits = 1024
	handBytes   = 16 << 20
)

// throttledWorkers is how many commits a consumer does at a time in the bulk lane while
// there is live work.
const throttledWorkers = 4

// newConsumer makes a consumer of the aggregates' commits that goes on from its
// mark.
func newConsumer(ctx context.Context, name string, aggregates map[string]bool, workers int, s *store, l *jobQueue, log *slog.Logger, do func(context.Context, engine.Commit) error) (*consumer, error) {
	mark, err := s.mark(ctx, name)
	c := &consumer{
		name: name, aggregates: aggregates, workers: [2]int{lanes.Live: liveWorkers, lanes.Bulk: workers}, do: do, store: s, later: l, log: log,
		lanes: lanes.New[*engine.Commit](mark), few: make(chan struct{}, throttledWorkers),
	}
	c.changed.L, c.work[lanes.Live].L, c.work[lanes.Bulk].L = &c.mu, &c.mu, &c.mu
	return c, err
}

// liveWorkers is how many live commits a consumer does at a time.
const liveWorkers = 64

// run does commits until it is stopped, and returns when no work is in hand.
func (c *consumer) run(ctx context.Context, stop <-chan struct{}) {
	release := context.AfterFunc(ctx, c.stop)
	defer release()
	var workers sync.WaitGroup
	defer workers.Wait()
	for lane, n := range c.workers {
		for range n {
			workers.Go(func() { c.serve(ctx, lanes.Lane(lane)) })
		}
	}
	for {
		commits, known, changed := c.store.feed.after(c.seen())
		if !known {
			var err error
			if commits, err = c.store.after(ctx, c.seen(), c.aggregates); err != nil {
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

func (c *consumer) seen() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lanes.Seen()
}

func item(p *positioned) lanes.Item[*engine.Commit] {
	return lanes.Item[*engine.Commit]{Position: p.position, Stream: p.Stream, Size: p.size, Value: &p.Commit}
}

// live takes a commit that was just made, ahead of whatever else there is. It never
// waits.
func (c *consumer) live(p *positioned) {
	if p.Meta.Bulk || !c.aggregates[p.Stream.Aggregate] {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lanes.Live(item(p))
	c.work[lanes.Live].Signal()
}

// take puts the log's next commit in hand as soon as there is room; false: stopped.
func (c *consumer) take(p *positioned) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.stopping {
		if commits, size := c.lanes.InHand(); commits < handCommits && size < handBytes {
			break
		}
		c.changed.Wait()
	}
	if c.stopping {
		return false
	}
	c.lanes.Pass(item(p), c.aggregates[p.Stream.Aggregate])
	c.work[lanes.Bulk].Signal()
	c.changed.Broadcast() // whoever waits for what does not concern it
	return true
}

// serve does one commit of the lane after the other until the consumer is stopped.
func (c *consumer) serve(ctx context.Context, lane lanes.Lane) {
	if lane == lanes.Bulk {
		ctx = engine.Bulk(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var x *lanes.Item[*engine.Commit]
		for x == nil && !c.stopping {
			if x = c.lanes.Next(lane); x == nil {
				c.work[lane].Wait()
			}
		}
		if c.stopping {
			return
		}
		commit := x.Value
		c.mu.Unlock()
		ok := c.throttled(lane, func() bool { return c.handle(ctx, *commit) })
		c.mu.Lock()
		if !ok {
			return
		}
		if lane, ready := c.lanes.Done(x); ready {
			c.work[lane].Signal()
		}
		c.changed.Broadcast()
	}
}

// throttled lets few bulk commits be done at a time while there is live work, which
// shares the processor and the writer.
func (c *consumer) throttled(lane lanes.Lane, do func() bool) bool {
	if lane == lanes.Bulk && c.store.writer.underLoad.Load() {
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
		if err = c.later.add(ctx, firstRetry, job{consumer: c.name, Stream: commit.Stream, seq: commit.Seq, bulk: engine.IsBulk(ctx)}); err != nil && (clock.Clock{}).Sleep(ctx, wait) != nil {
			return false
		}
	}
	return true
}

// stop lets no further commit be taken.
func (c *consumer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	c.changed.Broadcast()
	c.work[lanes.Live].Broadcast()
	c.work[lanes.Bulk].Broadcast()
}

// mark is the position up to which everything is done.
func (c *consumer) mark() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lanes.Mark()
}

// waiting is the oldest commit that is not done; nil: there is none.
func (c *consumer) waiting(ctx context.Context) (oldest *engine.Commit, err error) {
	c.mu.Lock()
	done := c.lanes.Mark()
	c.mu.Unlock()
	if done >= c.store.feed.last() {
		return nil, nil
	}
	log, err := c.store.locate(ctx)
	if err != nil {
		return nil, err
	}
	defer log.close()
	p, found, err := log.at(done + 1)
	switch {
	case errors.Is(err, engine.ErrBroken): // nobody knows how old it is; it will be parked
		return nil, nil
	case err != nil:
		return nil, c.store.trouble.unavailable(err)
	}
	if found {
		oldest = &p.Commit
	}
	return oldest, nil
}

// reach waits until everything up to the position is done.
func (c *consumer) reach(ctx context.Context, position int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.lanes.Mark() < position {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s has done %d of %d commits: %w", c.name, c.lanes.Mark(), position, err)
		}
		c.changed.Wait()
	}
	return nil
}
