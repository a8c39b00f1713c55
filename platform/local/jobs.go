package local

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/clock"
	"onlineshop/platform/internal/lanes"
)

// jobQueue keeps what is to be done at some other time: hints with a delay, and
// what could not be done at once. It is durable, and done at least once.
type jobQueue struct {
	store *store
	log   *slog.Logger
	do    func(context.Context, job) error
	// delay is how long a consumer's job waits by declaration; 0: it does not.
	delay func(consumer string) time.Duration
	count func(metric, consumer string)
	now   func() time.Time
	wake  [2]chan struct{} // by lane

	mu     sync.Mutex
	seen   time.Time      // the clock's latest time; zero: not looked at yet
	inHand map[int64]bool // by number
}

// job is something put off: a follower's hint, or a consumer's commit.
type job struct {
	number   int64
	consumer string
	engine.Stream
	seq      int64
	attempts int
	bulk     bool
}

// A job that fails waits for firstRetry, doubled each time, at most maxRetry.
const (
	firstRetry = time.Second
	maxRetry   = time.Minute
)

// laterWorkers is how many jobs of a lane are done concurrently.
const laterWorkers = 32

func newLater(s *store, log *slog.Logger, do func(context.Context, job) error) *jobQueue {
	return &jobQueue{
		store: s, log: log, do: do, now: time.Now, wake: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}, inHand: map[int64]bool{},
		delay: func(string) time.Duration { return 0 }, count: func(string, string) {},
	}
}

// add puts jobs off; they are durable when it returns.
func (l *jobQueue) add(ctx context.Context, wait time.Duration, jobs ...job) error {
	due := nanos(l.now().Add(wait))
	return l.store.writer.write(ctx, func(t *tx) error {
		for _, j := range jobs {
			if _, err := t.exec("INSERT INTO later (consumer, aggregate, id, seq, since, due, attempts, bulk) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
				j.consumer, j.Aggregate, j.ID, j.seq, due, due, j.attempts, j.bulk); err != nil {
				return err
			}
		}
		return nil
	}, l.look)
}

// look makes the loops look for what is due.
func (l *jobQueue) look() {
	for _, wake := range l.wake {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// run does what is due until it is stopped, and returns when no work is in hand. Live and
// bulk jobs don't wait for each other.
func (l *jobQueue) run(ctx context.Context, stop <-chan struct{}) {
	var loops sync.WaitGroup
	loops.Go(func() { l.loop(ctx, lanes.Live, stop) })
	loops.Go(func() { l.loop(engine.Bulk(ctx), lanes.Bulk, stop) })
	loops.Wait()
}

func (l *jobQueue) loop(ctx context.Context, lane lanes.Lane, stop <-chan struct{}) {
	var workers sync.WaitGroup
	defer workers.Wait()
	room := make(chan struct{}, laterWorkers)
	for {
		jobs, next, err := l.due(ctx, lane)
		if err != nil && ctx.Err() == nil {
			l.log.WarnContext(ctx, "deferred work can't be read; trying again", "error", err)
		}
		for _, j := range jobs {
			select {
			case room <- struct{}{}:
			case <-stop:
				return
			}
			workers.Go(func() {
				defer func() { <-room }()
				l.one(ctx, j)
			})
		}
		if len(jobs) > 0 {
			continue
		}
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-l.wake[lane]:
		case <-stop:
			return
		}
		timer.Stop()
	}
}

// due are the lane's jobs whose time has come and that nobody has in hand, and how long
// it is to the next one.
func (l *jobQueue) due(ctx context.Context, lane lanes.Lane) (jobs []job, next time.Duration, err error) {
	now := l.now()
	if err := l.hasten(ctx, now); err != nil {
		return nil, time.Second, err
	}
	next = time.Second
	err = l.store.query(ctx, "SELECT number, consumer, aggregate, id, seq, attempts, due FROM later WHERE bulk = ? ORDER BY due LIMIT ?", []any{int(lane), 4 * laterWorkers},
		func(scan func(...any) error) (bool, error) {
			j := job{bulk: lane == lanes.Bulk}
			var due int64
			if err := scan(&j.number, &j.consumer, &j.Aggregate, &j.ID, &j.seq, &j.attempts, &due); err != nil {
				return false, err
			}
			if wait := fromNanos(due).Sub(now); wait > 0 {
				next = min(next, wait)
				return false, nil
			}
			if l.claim(j.number) {
				jobs = append(jobs, j)
			}
			return true, nil
		})
	return jobs, next, err
}

// hasten brings jobs forward that are due later than they can be: the clock was
// ahead when they were put off, or is set back since. It looks at the first call,
// and whenever the clock has gone back.
func (l *jobQueue) hasten(ctx context.Context, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.seen.IsZero() && !now.Before(l.seen) {
		l.seen = now
		return nil
	}
	late := map[int64]time.Time{}
	err := l.store.query(ctx, "SELECT number, consumer, attempts, due FROM later WHERE due > ?", []any{nanos(now.Add(firstRetry))},
		func(scan func(...any) error) (bool, error) {
			var number, due int64
			var consumer string
			var attempts int
			if err := scan(&number, &consumer, &attempts, &due); err != nil {
				return false, err
			}
			longest := l.delay(consumer)
			if longest == 0 || attempts > 0 {
				longest = max(longest, maxRetry)
			}
			if at := now.Add(longest); fromNanos(due).After(at) {
				late[number] = at
				l.count(engine.ClockBehind, consumer)
			}
			return true, nil
		})
	if err == nil && len(late) > 0 {
		l.log.WarnContext(ctx, "the clock was ahead, or is set back: what waits is done after its delay", "jobs", len(late))
		err = l.store.writer.write(ctx, func(t *tx) error {
			for number, at := range late {
				if _, err := t.exec("UPDATE later SET due = ?1, since = min(since, ?1) WHERE number = ?2", nanos(at), number); err != nil {
					return err
				}
			}
			return nil
		}, nil)
	}
	if err == nil {
		l.seen = now
	}
	return err
}

func (l *jobQueue) claim(number int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inHand[number] {
		return false
	}
	l.inHand[number] = true
	return true
}

func (l *jobQueue) release(number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.inHand, number)
	l.look()
}

// one does a job: it is forgotten when it is done, and put off when it fails.
func (l *jobQueue) one(ctx context.Context, j job) {
	defer l.release(j.number)
	query, args := "DELETE FROM later WHERE number = ?", []any{j.number}
	if err := engine.Guarded(j.consumer, func() error { return l.do(ctx, j) }); err != nil {
		if ctx.Err() != nil {
			return // it is still there at the next start
		}
		wait := min(firstRetry<<min(j.attempts, 10), maxRetry)
		l.log.WarnContext(ctx, "deferred again", "consumer", j.consumer, "stream", j.Stream, "seq", j.seq, "wait", wait, "error", err)
		query, args = "UPDATE later SET due = ?, attempts = attempts + 1 WHERE number = ?", []any{nanos(l.now().Add(wait)), j.number}
	}
	for l.store.writer.write(ctx, func(t *tx) error {
		_, err := t.exec(query, args...)
		return err
	}, nil) != nil {
		if (clock.Clock{}).Sleep(ctx, time.Second) != nil {
			return
		}
	}
}

// overdue is since when the oldest job of a consumer waits, of those that are due.
func (l *jobQueue) overdue(ctx context.Context, now time.Time) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := l.store.query(ctx, "SELECT consumer, min(since) FROM later WHERE since <= ? GROUP BY consumer", []any{nanos(now)},
		func(scan func(...any) error) (bool, error) {
			var name string
			var since int64
			err := scan(&name, &since)
			out[name] = fromNanos(since)
			return true, err
		})
	return out, err
}

// doLater does a job whose time has come.
func (p *Platform) doLater(ctx context.Context, j job) error {
	for _, c := range p.consumers {
		if c.name != j.consumer {
			continue
		}
		commits, _, err := p.store.Read(ctx, j.Stream, j.seq, 1)
		if err != nil || len(commits) == 0 {
			return err
		}
		return c.do(ctx, commits[0])
	}
	return p.follow(ctx, engine.Hint{Follower: j.consumer, Stream: j.Stream, Seq: j.seq, Waited: true, Bulk: j.bulk})
}
