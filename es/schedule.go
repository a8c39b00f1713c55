package es

import (
	"context"
	"time"
)

// Schedule is work of a task that time sets off. What was missed while the shop was down
// runs once at the next start, as the latest occurrence that was missed; what was planned
// before the schedule was first deployed is not missed.
type Schedule struct {
	Name string // within the task, e.g. "Nightly"
	// Every runs it at whole multiples of the interval since 1970, in UTC: with 1h, on the
	// hour. At least a minute.
	Every time.Duration
	// Cron runs it at the times of an expression in its place: minute, hour, day of the
	// month, month and day of the week, e.g. "30 3 * * *".
	Cron string
	// TimeZone is the one that Cron is in, e.g. "Europe/Berlin"; empty: UTC. A time that a
	// clock skips in spring does not occur.
	TimeZone string
	// Run does one occurrence. It is not repeated after an error, which is recorded; after
	// a crash it is, possibly while a slow first run still runs. So it sends its commands
	// with message ids of the occurrence ([Occurrence.MessageID]), and takes effect once. A
	// run has 15 minutes; it returns [ErrUnfinished] at a checkpoint where
	// [Shop].Stopping reports true, to be called again.
	Run func(ctx context.Context, o Occurrence, s Shop) error
}

// Occurrence is one time that a schedule runs.
type Occurrence struct {
	Schedule string    // full name, e.g. "Inventory.CountStock.Nightly"
	Planned  time.Time // in UTC; of an extra one, when it was asked for
	Extra    bool      // an operator asked for it
}

// ID names the occurrence. It is the same whenever the occurrence is repeated.
func (o Occurrence) ID() string {
	id := o.Schedule + "@" + o.Planned.UTC().Format(time.RFC3339Nano)
	if o.Extra {
		id += "/extra"
	}
	return id
}

// MessageID is that of a command of the occurrence: what tells apart those that it sends.
func (o Occurrence) MessageID(what string) string { return o.ID() + "/" + what }
