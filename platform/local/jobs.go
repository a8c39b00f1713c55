package local

import (
	"cmp"
	"context"
	"errors"
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
	since    int64 // when it was due at first; Unix nanoseconds, as due is
	due      int64
}

// jobsIn are the keys of a lane's jobs, by when they are due.
func jobsIn(bulk bool) key {
	lane := lanes.Live
	if bulk {
		lane = lanes.Bulk
	}
	return keyIn(tableJobs).number(int64(lane))
}

func (j job) key() key { return jobsIn(j.bulk).number(j.due).number(j.number) }

func (j job) value() value {
	return value(nil).text(j.consumer).text(j.Aggregate).text(j.ID).number(j.seq).number(j.since).number(int64(j.attempts))
}

func jobOf(k, v []byte) (job, error) {
	p, f := partsOf(k), fields{rest: v}
	j := job{bulk: p.number() == int64(lanes.Bulk), due: p.number(), number: p.number()}
	j.consumer, j.Aggregate, j.ID, j.seq, j.since, j.attempts = f.text(), f.text(), f.text(), f.number(), f.number(), int(f.number())
	return j, cmp.Or(p.err(), f.err())
}

// jobs yields jobs of a lane until yield has enough, those that are due first.
func (s *store) jobs(ctx context.Context, bulk bool, from key, yield func(job) bool) error {
	return s.scan(ctx, jobsIn(bulk), from, forward, func(k, v []byte) (bool, error) {
		j, err := jobOf(k, v)
		return err == nil && yield(j), err
	})
}

// A job that fails waits for firstRetry, doubled each time, at most maxRetry.
const (
	firstRetry = time.Second
	maxRetry   = time.Minute
)

// retryAfter returns how long what failed waits that had failed so often before.
func retryAfter(failures int) time.Duration { return min(firstRetry<<min(failures, 10), maxRetry) }

// laterWorkers is how many jobs of a lane are done concurrently.
const laterWorkers = 32

func newLater(s *store, log *slog.Logger, do func(context.Context, job) error) *jobQueue {
	return &jobQueue{
		store: s, log: log, do: do, now: time.Now, wake: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}, inHand: map[int64]bool{},
		delay: func(string) time.Duration { return 0 }, count: func(string, string) {},
	}
}

// add puts jobs off. They are durable no later than what is written after them, such as the
// mark that says that their commits are dealt with.
func (l *jobQueue) add(ctx context.Context, wait time.Duration, jobs ...job) error {
	due := nanos(l.now().Add(wait))
	return l.store.writer.apply(ctx, func(t *tx) error {
		latest := keyIn(tableStore).text(jobsName)
		n, err := t.integer(latest)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			n++
			j.number, j.since, j.due = n, due, due
			t.set(j.key(), j.value())
		}
		t.set(latest, value(nil).number(n))
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
	seen := 0
	err = l.store.jobs(ctx, lane == lanes.Bulk, nil, func(j job) bool {
		if wait := fromNanos(j.due).Sub(now); wait > 0 {
			next = min(next, wait)
			return false
		}
		if l.claim(j.number) {
			jobs = append(jobs, j)
		}
		seen++
		return seen < 4*laterWorkers
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
	var late, sooner []job
	var err error
	for _, bulk := range []bool{false, true} {
		err = errors.Join(err, l.store.jobs(ctx, bulk, jobsIn(bulk).number(nanos(now.Add(firstRetry))+1), func(j job) bool {
			longest := l.delay(j.consumer)
			if longest == 0 || j.attempts > 0 {
				longest = max(longest, maxRetry)
			}
			if at := now.Add(longest); fromNanos(j.due).After(at) {
				late = append(late, j)
				j.due = nanos(at)
				j.since = min(j.since, j.due)
				sooner = append(sooner, j)
				l.count(engine.ClockBehind, j.consumer)
			}
			return true
		}))
	}
	if err == nil && len(late) > 0 {
		l.log.WarnContext(ctx, "the clock was ahead, or is set back, or a delay was shortened: what waits is done after its delay", "jobs", len(late))
		err = l.store.writer.apply(ctx, func(t *tx) error {
			for i, j := range late {
				if err := move(t, j, sooner[i]); err != nil {
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

// move puts a job off, or brings it forward, unless it is done.
func move(t *tx, from, to job) error {
	there, err := t.has(from.key())
	if err == nil && there {
		t.delete(from.key())
		t.set(to.key(), to.value())
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
	end := func(t *tx) error {
		t.delete(j.key())
		return nil
	}
	if err := engine.Guarded(j.consumer, func() error { return l.do(ctx, j) }); err != nil {
		if ctx.Err() != nil {
			return // it is still there at the next start
		}
		wait := retryAfter(j.attempts)
		l.log.WarnContext(ctx, "deferred again", "consumer", j.consumer, "stream", j.Stream, "seq", j.seq, "wait", wait, "error", err)
		again := j
		again.attempts++
		again.due = nanos(l.now().Add(wait))
		end = func(t *tx) error { return move(t, j, again) }
	}
	for l.store.writer.apply(ctx, end, nil) != nil {
		if (clock.Clock{}).Sleep(ctx, time.Second) != nil {
			return
		}
	}
}

// overdue is since when the oldest job of a consumer waits, of those that are due.
func (l *jobQueue) overdue(ctx context.Context, now time.Time) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	var errs []error
	for _, bulk := range []bool{false, true} {
		errs = append(errs, l.store.jobs(ctx, bulk, nil, func(j job) bool {
			if at, ok := out[j.consumer]; j.since <= nanos(now) && (!ok || fromNanos(j.since).Before(at)) {
				out[j.consumer] = fromNanos(j.since)
			}
			return j.due <= nanos(now.Add(maxRetry)) // what failed is due again by then
		}))
	}
	return out, errors.Join(errs...)
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
