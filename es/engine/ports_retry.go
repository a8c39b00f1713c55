package engine

import (
	"context"
	"errors"
	"time"
)

// retrier retries a port call while its store is unavailable ([ErrUnavailable]). New
// wraps every port in one, except Snapshots, which are best effort, and StreamLock.
type retrier struct{ clock Clock }

// attempts is the maximum number of attempts of a port call. The backoff starts at 10 ms
// and doubles each time: about 3 s in total, and less than 5 with any jitter.
const attempts = 10

func (r retrier) do(ctx context.Context, call func() error) error {
	for i := 0; ; i++ {
		err := call()
		if err == nil || !errors.Is(err, ErrUnavailable) || i == attempts-1 {
			return err
		}
		if err := r.clock.Sleep(ctx, min(10*time.Millisecond<<i, 900*time.Millisecond)); err != nil {
			return err
		}
	}
}

// retryPorts wraps the ports of a configuration.
func retryPorts(c *Config) {
	c.retried = true
	r := retrier{c.Clock}
	c.Log = retryLog{c.Log, r}
	c.Cursors = retryCursors{c.Cursors, r}
	c.Rows = retryRows{c.Rows, r}
	c.Parking = retryParking{c.Parking, r}
	c.Hints = retryHints{c.Hints, r}
	c.Bus = retryBus{c.Bus, r}
	if c.Keys != nil {
		c.Keys = retryKeys{c.Keys, r}
	}
	if c.Rejections != nil {
		c.Rejections = retryRejections{c.Rejections, r}
	}
	if c.Schedules != nil {
		c.Schedules = retrySchedules{c.Schedules, r}
	}
	if c.Starts != nil {
		c.Starts = retryStarts{c.Starts, r}
	}
	if c.Publications != nil {
		c.Publications = retryPublications{c.Publications, r}
	}
}

type retryLog struct {
	log Log
	retrier
}

func (l retryLog) Read(ctx context.Context, s Stream, from int64, limit int) (commits []Commit, more bool, err error) {
	err = l.do(ctx, func() error { commits, more, err = l.log.Read(ctx, s, from, limit); return err })
	return commits, more, err
}

func (l retryLog) ReadBackward(ctx context.Context, s Stream, before int64) (commits []Commit, err error) {
	err = l.do(ctx, func() error { commits, err = l.log.ReadBackward(ctx, s, before); return err })
	return commits, err
}

func (l retryLog) Append(ctx context.Context, c Commit) error {
	return l.do(ctx, func() error { return l.log.Append(ctx, c) })
}

func (l retryLog) Streams(ctx context.Context, aggregate, cursor string) (ids []string, next string, err error) {
	err = l.do(ctx, func() error { ids, next, err = l.log.Streams(ctx, aggregate, cursor); return err })
	return ids, next, err
}

type retryKeys struct {
	keys Keys
	retrier
}

func (k retryKeys) Key(ctx context.Context, s Stream, make bool) (key []byte, err error) {
	err = k.do(ctx, func() error { key, err = k.keys.Key(ctx, s, make); return err })
	return key, err
}

func (k retryKeys) Destroy(ctx context.Context, s Stream) error {
	return k.do(ctx, func() error { return k.keys.Destroy(ctx, s) })
}

type retryCursors struct {
	cursors Cursors
	retrier
}

func (c retryCursors) Cursor(ctx context.Context, consumer string, s Stream) (cursor Cursor, err error) {
	err = c.do(ctx, func() error { cursor, err = c.cursors.Cursor(ctx, consumer, s); return err })
	return cursor, err
}

func (c retryCursors) Advance(ctx context.Context, consumer string, s Stream, from, to int64) error {
	return c.do(ctx, func() error { return c.cursors.Advance(ctx, consumer, s, from, to) })
}

type retryStarts struct {
	starts Starts
	retrier
}

func (t retryStarts) Begin(ctx context.Context, plugin string, b Beginning) error {
	return t.do(ctx, func() error { return t.starts.Begin(ctx, plugin, b) })
}

func (t retryStarts) Past(ctx context.Context, follower string, s Stream, seq int64, committed time.Time) (past bool, err error) {
	err = t.do(ctx, func() error { past, err = t.starts.Past(ctx, follower, s, seq, committed); return err })
	return past, err
}

type retryRows struct {
	rows Rows
	retrier
}

func (t retryRows) Row(ctx context.Context, model, id string) (row Row, err error) {
	err = t.do(ctx, func() error { row, err = t.rows.Row(ctx, model, id); return err })
	return row, err
}

func (t retryRows) Put(ctx context.Context, row Row) (lost bool, err error) {
	err = t.do(ctx, func() error { lost, err = t.rows.Put(ctx, row); return err })
	return lost, err
}

func (t retryRows) List(ctx context.Context, q Query) (rows []Row, next string, err error) {
	err = t.do(ctx, func() error { rows, next, err = t.rows.List(ctx, q); return err })
	return rows, next, err
}

func (t retryRows) Items(ctx context.Context, q ItemsQuery) (rows []Row, more bool, err error) {
	err = t.do(ctx, func() error { rows, more, err = t.rows.Items(ctx, q); return err })
	return rows, more, err
}

func (t retryRows) PutItems(ctx context.Context, head Row, rows []Row, totals []Total) (lost bool, err error) {
	err = t.do(ctx, func() error { lost, err = t.rows.PutItems(ctx, head, rows, totals); return err })
	return lost, err
}

func (t retryRows) Keys(ctx context.Context, model, cursor string, limit int) (keys []string, next string, err error) {
	err = t.do(ctx, func() error { keys, next, err = t.rows.Keys(ctx, model, cursor, limit); return err })
	return keys, next, err
}

type retryParking struct {
	parking Parking
	retrier
}

func (p retryParking) Park(ctx context.Context, parked Parked) error {
	return p.do(ctx, func() error { return p.parking.Park(ctx, parked) })
}

func (p retryParking) Parked(ctx context.Context, consumer string, s Stream) (parked *Parked, err error) {
	err = p.do(ctx, func() error { parked, err = p.parking.Parked(ctx, consumer, s); return err })
	return parked, err
}

func (p retryParking) Unpark(ctx context.Context, parked Parked) error {
	return p.do(ctx, func() error { return p.parking.Unpark(ctx, parked) })
}

func (p retryParking) ListParked(ctx context.Context, cursor string) (parked []Parked, next string, err error) {
	err = p.do(ctx, func() error { parked, next, err = p.parking.ListParked(ctx, cursor); return err })
	return parked, next, err
}

type retryRejections struct {
	rejections Rejections
	retrier
}

func (t retryRejections) Reject(ctx context.Context, r KeptRejection, next int64) (kept bool, err error) {
	err = t.do(ctx, func() error { kept, err = t.rejections.Reject(ctx, r, next); return err })
	return kept, err
}

func (t retryRejections) Rejection(ctx context.Context, id CommandID) (r *KeptRejection, err error) {
	err = t.do(ctx, func() error { r, err = t.rejections.Rejection(ctx, id); return err })
	return r, err
}

func (t retryRejections) ListRejections(ctx context.Context, follower, before string, limit int) (list []KeptRejection, err error) {
	err = t.do(ctx, func() error { list, err = t.rejections.ListRejections(ctx, follower, before, limit); return err })
	return list, err
}

type retrySchedules struct {
	schedules Schedules
	retrier
}

func (t retrySchedules) Schedule(ctx context.Context, name string) (s ScheduleState, err error) {
	err = t.do(ctx, func() error { s, err = t.schedules.Schedule(ctx, name); return err })
	return s, err
}

func (t retrySchedules) PutSchedule(ctx context.Context, s ScheduleState) (lost bool, err error) {
	err = t.do(ctx, func() error { lost, err = t.schedules.PutSchedule(ctx, s); return err })
	return lost, err
}

type retryHints struct {
	hints Hints
	retrier
}

func (h retryHints) Send(ctx context.Context, delay time.Duration, hints ...Hint) error {
	return h.do(ctx, func() error { return h.hints.Send(ctx, delay, hints...) })
}

type retryBus struct {
	bus Bus
	retrier
}

func (b retryBus) Publish(ctx context.Context, entries ...Entry) error {
	return b.do(ctx, func() error { return b.bus.Publish(ctx, entries...) })
}

type retryPublications struct {
	publications Publications
	retrier
}

func (p retryPublications) Since(ctx context.Context, point string, s Stream, from int64) (entries []Entry, next int64, more bool, err error) {
	err = p.do(ctx, func() error {
		entries, next, more, err = p.publications.Since(ctx, point, s, from)
		return err
	})
	return entries, next, more, err
}
