package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a machine may lack it

	"github.com/robfig/cron/v3"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// ScheduleState is what is kept of a schedule. Its JSON is stored.
type ScheduleState struct {
	Name  string    `json:"-"`
	Rev   int64     `json:"-"`              // counts writes, for conditional ones; 0: never written
	Since time.Time `json:"since,omitzero"` // what was planned before is not missed
	Upto  time.Time `json:"upto,omitzero"`  // planned time of the latest occurrence, extra ones left out
	Asked time.Time `json:"asked,omitzero"` // an extra occurrence that has not begun

	// The latest occurrence.
	Planned  time.Time `json:"planned,omitzero"`
	Extra    bool      `json:"extra,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	Attempts int       `json:"attempts,omitempty"` // more than one: after a crash, or in several pieces
	Error    string    `json:"error,omitempty"`
	Claim    string    `json:"claim,omitempty"` // whose run it is; empty: it has ended
	Until    time.Time `json:"until,omitzero"`  // when another may take the claim over
}

// Outcomes of occurrences.
const (
	OutcomeRunning = "running"
	OutcomeDone    = "done"
	OutcomeFailed  = "failed"
)

// Outcome returns how the latest occurrence ended; empty: there was none.
func (s ScheduleState) Outcome() string {
	switch {
	case s.Claim != "":
		return OutcomeRunning
	case s.Error != "":
		return OutcomeFailed
	case s.Finished.IsZero():
		return ""
	}
	return OutcomeDone
}

// upto returns up to when nothing that is planned is still to be begun.
func (s ScheduleState) upto() time.Time {
	if s.Upto.After(s.Since) {
		return s.Upto
	}
	return s.Since
}

// Schedules keeps what schedules did.
type Schedules interface {
	// Schedule returns a schedule's state, strongly consistent. One that was never
	// written has revision 0.
	Schedule(ctx context.Context, name string) (ScheduleState, error)
	// PutSchedule writes the state if the stored one has revision s.Rev-1. Otherwise it
	// writes nothing and reports lost.
	PutSchedule(ctx context.Context, s ScheduleState) (lost bool, err error)
}

// runLimit is how long one run may take, and lease for how long its claim holds: a little
// longer, so that a run has ended when another takes it over.
const (
	runLimit = 15 * time.Minute
	lease    = runLimit + time.Minute
)

// clockError is how far a planned time lies ahead if the clock was wrong, and not another's
// is a little ahead.
const clockError = 24 * time.Hour

// overdueAfter is how long after its planned time an occurrence is a problem.
const overdueAfter = 5 * time.Minute

// timetable tells the first planned time after another.
type timetable interface {
	Next(after time.Time) time.Time
}

// schedule is a schedule with its task.
type schedule struct {
	es.Schedule
	name   string // full, e.g. "Inventory.CountStock.Nightly"
	plugin string
	task   es.Task
	times  timetable
}

// plan adds a task's schedules.
func (e *Engine) plan(plugin string, t es.Task) error {
	for _, d := range t.Schedules {
		s := &schedule{Schedule: d, name: naming.Full(plugin, t.Name) + "." + d.Name, plugin: plugin, task: t}
		var err error
		if s.times, err = timetableOf(d); err != nil {
			return fmt.Errorf("schedule %s: %w", s.name, err)
		}
		if e.scheduleNamed(s.name) != nil {
			return fmt.Errorf("there are two schedules %s", s.name)
		}
		e.schedules = append(e.schedules, s)
	}
	return nil
}

func timetableOf(d es.Schedule) (timetable, error) {
	switch {
	case d.Name == "" || strings.ContainsAny(d.Name, ". "):
		return nil, fmt.Errorf("%q can't be a name", d.Name)
	case d.Run == nil:
		return nil, errors.New("it has nothing to run")
	case (d.Every == 0) == (d.Cron == ""):
		return nil, errors.New("it needs an interval (Every) or an expression (Cron), and not both")
	case d.Every != 0 && d.TimeZone != "":
		return nil, errors.New("an interval has no time zone")
	case d.Every != 0 && d.Every < time.Minute:
		return nil, fmt.Errorf("an interval is at least a minute, not %s", d.Every)
	case d.Every != 0:
		return interval(d.Every), nil
	}
	zone, err := time.LoadLocation(d.TimeZone)
	if err != nil || d.TimeZone == "Local" {
		return nil, fmt.Errorf("%q is not a time zone, such as Europe/Berlin", d.TimeZone)
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(d.Cron)
	if err != nil {
		return nil, fmt.Errorf("cron expression %q: %w", d.Cron, err)
	}
	times, ok := parsed.(*cron.SpecSchedule)
	if !ok || strings.Contains(d.Cron, "=") {
		return nil, fmt.Errorf("cron expression %q: it has five fields; its time zone stands in TimeZone", d.Cron)
	}
	times.Location = zone
	if times.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("cron expression %q: that never comes", d.Cron)
	}
	return wallClock{times}, nil
}

// wallClock is a timetable by the clock on the wall of a time zone.
type wallClock struct{ *cron.SpecSchedule }

// Next implements timetable. Where an hour comes twice in autumn, an hour that the
// expression names is its first one.
func (w wallClock) Next(after time.Time) time.Time {
	const anyHour = 1 << 63 // as package cron marks an asterisk
	at := w.SpecSchedule.Next(after)
	for w.Hour&anyHour == 0 && w.again(at) {
		at = w.SpecSchedule.Next(at)
	}
	return at
}

// again reports whether the wall has shown that time before.
func (w wallClock) again(t time.Time) bool {
	offset := func(t time.Time) time.Duration {
		_, seconds := t.In(w.Location).Zone()
		return time.Duration(seconds) * time.Second
	}
	before := offset(t.Add(-3 * time.Hour))
	back := before - offset(t)
	return !t.IsZero() && back > 0 && offset(t.Add(-back)) == before
}

// interval is a timetable of whole multiples.
type interval time.Duration

// Next implements timetable.
func (i interval) Next(after time.Time) time.Time {
	return time.Unix(0, (after.UnixNano()/int64(i)+1)*int64(i))
}

// latest returns the last planned time after one and up to another; zero: there is none.
func (s *schedule) latest(after, now time.Time) (at time.Time) {
	for back := time.Minute; at.IsZero(); back *= 2 {
		from := now.Add(-back)
		last := !from.After(after)
		if last {
			from = after
		}
		for t := s.times.Next(from); !t.IsZero() && !t.After(now); t = s.times.Next(t) {
			at = t.UTC()
		}
		if last {
			break
		}
	}
	return at
}

func (e *Engine) scheduleNamed(name string) *schedule {
	for _, s := range e.schedules {
		if s.name == name {
			return s
		}
	}
	return nil
}

// ScheduleNames returns the full names of the schedules.
func (e *Engine) ScheduleNames() (names []string) {
	for _, s := range e.schedules {
		names = append(names, s.name)
	}
	return names
}

// begin returns the state with the occurrence that is to run now; run is false if there is
// none, and changed if the state is to be written even so.
func (s *schedule) begin(st ScheduleState, now time.Time, claim string) (next ScheduleState, run, changed bool) {
	if st.Rev == 0 || st.upto().Sub(now) > clockError {
		st.Since, st.Upto, changed = now, time.Time{}, true
	}
	if st.Claim != "" {
		if held := st.Until.Sub(now); held > 0 && held < lease+clockError {
			return st, false, changed
		}
	} else {
		at := s.latest(st.upto(), now)
		switch {
		case !at.IsZero():
			st.Planned, st.Upto, st.Extra = at, at, false
		case !st.Asked.IsZero():
			st.Planned, st.Asked, st.Extra = st.Asked, time.Time{}, true
		default:
			return st, false, changed
		}
		st.Started, st.Finished, st.Attempts, st.Error = now, time.Time{}, 0, ""
	}
	st.Attempts++
	st.Claim, st.Until = claim, now.Add(lease)
	return st, true, true
}

// RunSchedule runs what is due of a schedule: an occurrence, and one that was asked for.
// Call it at least every minute, from as many processes as there are. An error means that
// it has to be called again.
func (e *Engine) RunSchedule(ctx context.Context, name string, stopping func() bool) error {
	s := e.scheduleNamed(name)
	if s == nil {
		return noSchedule(name)
	}
	for !stopping() && ctx.Err() == nil {
		st, err := e.Schedules.Schedule(ctx, name)
		if err != nil {
			return fmt.Errorf("schedule %s: %w", name, err)
		}
		claimed, run, changed := s.begin(st, e.now(), e.Clock.NewID())
		if !changed {
			return nil
		}
		claimed.Rev++
		lost, err := e.putSchedule(ctx, claimed)
		if err != nil {
			return fmt.Errorf("schedule %s: claim what was planned for %s: %w", name, claimed.Planned, err)
		}
		if lost || !run {
			return nil // another process has it
		}
		if err := e.occur(ctx, s, claimed, stopping); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// putSchedule is [Schedules.PutSchedule]. A write of which the acknowledgement was lost is
// not lost, and its repetition finds it.
func (e *Engine) putSchedule(ctx context.Context, s ScheduleState) (lost bool, err error) {
	if lost, err = e.Schedules.PutSchedule(ctx, s); err != nil || !lost {
		return lost, err
	}
	there, err := e.Schedules.Schedule(ctx, s.Name)
	own := there.Rev == s.Rev && there.Claim == s.Claim && there.Started.Equal(s.Started) && there.Finished.Equal(s.Finished) && there.Asked.Equal(s.Asked)
	return !own, err
}

// now is the time as states have it.
func (e *Engine) now() time.Time { return e.Clock.Now().UTC().Truncate(time.Millisecond) }

// occur runs a claimed occurrence, and records how it ended.
func (e *Engine) occur(ctx context.Context, s *schedule, st ScheduleState, stopping func() bool) error {
	began := e.Clock.Now()
	o := es.Occurrence{Schedule: s.name, Planned: st.Planned, Extra: st.Extra}
	limited, cancel := context.WithTimeoutCause(Bulk(ctx), runLimit, fmt.Errorf("a run has %s", runLimit))
	defer cancel()
	limited, _, end := e.Tracer.Start(limited, TaskConsumer(s.plugin, s.task), "", attrOccurrence, o.ID())
	err := Guarded("schedule "+s.name, func() error {
		sh, err := e.shopOf(s.plugin, s.task, func() bool { return stopping() || e.Clock.Now().Sub(began) > runLimit*4/5 })
		if err != nil {
			return err
		}
		return s.Run(limited, o, sh)
	})
	end(err)
	switch {
	case ctx.Err() != nil: // the process is stopping; the claim ends by itself
		return ctx.Err()
	case errors.Is(err, es.ErrUnfinished):
		st.Until = time.Time{}
	case err != nil:
		if limited.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(limited), err)
		}
		e.Count(TaskFailed, TaskConsumer(s.plugin, s.task))
		e.Logger.ErrorContext(ctx, "schedule failed; this occurrence is not repeated", "schedule", s.name, "planned", st.Planned, "error", err)
		st.Error = headline(err)
		fallthrough
	default:
		st.Claim, st.Until, st.Finished = "", time.Time{}, e.now()
	}
	st.Rev++
	lost, err := e.putSchedule(ctx, st)
	switch {
	case err != nil:
		return fmt.Errorf("schedule %s: record how what was planned for %s ended: %w", s.name, st.Planned, err)
	case lost:
		return e.endLost(ctx, s, st)
	}
	return nil
}

// endLost records the end of an occurrence whose state has changed meanwhile: somebody
// asked for another one, or took it over.
func (e *Engine) endLost(ctx context.Context, s *schedule, st ScheduleState) error {
	for {
		now, err := e.Schedules.Schedule(ctx, s.name)
		if err != nil || now.Claim == "" || now.Attempts != st.Attempts || !now.Planned.Equal(st.Planned) {
			return err // it is another's now, or its end is recorded
		}
		st.Rev, st.Asked, st.Upto = now.Rev+1, now.Asked, now.Upto
		if lost, err := e.putSchedule(ctx, st); err != nil || !lost {
			return err
		}
	}
}

// ReleaseSchedules ends claims of processes that are gone. Only a platform that knows that
// there is no other process may call it, when it opens.
func (e *Engine) ReleaseSchedules(ctx context.Context) error {
	for _, s := range e.schedules {
		st, err := e.Schedules.Schedule(ctx, s.name)
		if err == nil && st.Claim != "" {
			st.Rev, st.Until = st.Rev+1, time.Time{}
			_, err = e.putSchedule(ctx, st)
		}
		if err != nil {
			return fmt.Errorf("schedule %s: %w", s.name, err)
		}
	}
	return nil
}

// AskSchedule has a schedule run once more, as soon as its task looks. Asked twice before
// that, it runs once.
func (e *Engine) AskSchedule(ctx context.Context, name string) error {
	if e.scheduleNamed(name) == nil {
		return noSchedule(name)
	}
	for {
		st, err := e.Schedules.Schedule(ctx, name)
		if err != nil {
			return fmt.Errorf("schedule %s: %w", name, err)
		}
		if !st.Asked.IsZero() {
			return nil
		}
		now := e.now()
		if st.Rev == 0 {
			st.Since = now
		}
		st.Rev, st.Asked = st.Rev+1, now
		if lost, err := e.putSchedule(ctx, st); err != nil || !lost {
			return err
		}
	}
}

func noSchedule(name string) error { return ErrNotFound.Because("there is no schedule %s", name) }

// ScheduleInfo is a schedule for people.
type ScheduleInfo struct {
	ScheduleState
	Definition es.Schedule
	Next       time.Time
	Overdue    time.Time // planned time of an occurrence that is late; zero: none is
}

// ListSchedules returns every schedule, with what it did and when it runs next.
func (e *Engine) ListSchedules(ctx context.Context) (list []ScheduleInfo, err error) {
	now := e.now()
	for _, s := range e.schedules {
		st, err := e.Schedules.Schedule(ctx, s.name)
		if err != nil {
			return nil, fmt.Errorf("schedule %s: %w", s.name, err)
		}
		i := ScheduleInfo{ScheduleState: st, Definition: s.Schedule, Next: s.times.Next(now).UTC()}
		i.Name = s.name
		switch {
		case st.Claim != "" && now.Sub(st.Until) > overdueAfter && now.Sub(st.Started) > overdueAfter:
			i.Overdue = st.Planned
		case st.Claim == "" && st.Rev > 0:
			i.Overdue = s.latest(st.upto(), now.Add(-overdueAfter))
		}
		list = append(list, i)
	}
	return list, nil
}

// ScheduleProblems returns what /health shows of schedules: those whose latest run failed,
// and those that are overdue.
func (e *Engine) ScheduleProblems(ctx context.Context) (problems []Problem, err error) {
	list, err := e.ListSchedules(ctx)
	for _, s := range list {
		p := Problem{Component: "schedule " + s.Name}
		switch {
		case !s.Overdue.IsZero():
			p.Since, p.Detail = s.Overdue, fmt.Sprintf("what was planned for %s has not run to its end: see the log of its task", s.Overdue.Format(time.RFC3339))
		case s.Outcome() == OutcomeFailed:
			p.Since, p.Detail = s.Finished, fmt.Sprintf("its latest run, planned for %s, failed: %s; it runs again at %s, or at once with: shop run %s",
				s.Planned.Format(time.RFC3339), s.Error, s.Next.Format(time.RFC3339), s.Name)
		default:
			continue
		}
		problems = append(problems, p)
	}
	return problems, err
}
