package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// OnObject runs a plugin's task for an object. If it returns an error, call it again:
// [es.ErrUnfinished] at once, any other later. stopping, once it reports true, makes the
// task return at its next checkpoint.
func (e *Engine) OnObject(ctx context.Context, plugin string, t es.Task, o es.Object, stopping func() bool) error {
	return e.runTask(ctx, plugin, t, o.Key, stopping, func(ctx context.Context, s es.Shop) error { return t.OnObject(ctx, o, s) })
}

// runTask runs a task on what happened to an object.
func (e *Engine) runTask(ctx context.Context, plugin string, t es.Task, key string, stopping func() bool, run func(context.Context, es.Shop) error) (err error) {
	defer func() {
		if err != nil && !errors.Is(err, es.ErrUnfinished) && ctx.Err() == nil {
			e.Count(TaskFailed, TaskConsumer(plugin, t))
		}
	}()
	ctx, _, end := e.Tracer.Start(ctx, TaskConsumer(plugin, t), "", attrObject, key)
	defer func() { end(err) }()
	defer Guard(fmt.Sprintf("task %s.%s on %s", plugin, t.Name, key), &err)
	s, err := e.shopOf(plugin, t, stopping)
	if err != nil {
		return err
	}
	return run(Bulk(ctx), s)
}

// shopOf returns what a plugin's task works with.
func (e *Engine) shopOf(plugin string, t es.Task, stopping func() bool) (shop, error) {
	task := naming.Full(plugin, t.Name)
	reads, err := e.readsOf(plugin, "task "+task, t.Reads)
	return shop{
		reader: reader{Engine: e, caller: es.System(), reads: reads}, task: task, sends: targets(t), stopping: stopping,
		buckets: append([]es.Bucket{{Name: es.Reports, Write: true}}, t.Buckets...),
	}, err
}

// targets returns the aggregates that the task sends to; nil means all.
func targets(t es.Task) map[string]bool {
	if t.Sends == nil {
		return nil
	}
	names := map[string]bool{}
	for _, a := range t.Sends {
		names[a.Definition().Name] = true
	}
	return names
}

// Check returns what a plugin's task would make of an object, and appends nothing. It
// returns [ErrNotFound] if the task can't tell.
func (e *Engine) Check(ctx context.Context, plugin string, t es.Task, o es.Object) (c es.Check, err error) {
	task := naming.Full(plugin, t.Name)
	if t.Check == nil {
		return c, ErrNotFound.Because("task %s can't say what it would make of an object", task)
	}
	defer Guard(fmt.Sprintf("check of task %s on %s", task, o.Key), &err)
	s, err := e.shopOf(plugin, t, func() bool { return false })
	if err != nil {
		return c, err
	}
	s.rehearsal = &rehearsal{states: map[Stream]es.Loaded{}}
	return t.Check(ctx, o, s)
}

// rehearsal holds the states of the aggregates that a check's commands would have
// changed.
type rehearsal struct {
	mu     sync.Mutex
	states map[Stream]es.Loaded
}

// Load implements [es.Reader]. In a check it returns the rehearsed state, if any.
func (s shop) Load(ctx context.Context, name, id string) (es.Loaded, error) {
	if s.rehearsal != nil {
		s.rehearsal.mu.Lock()
		l, ok := s.rehearsal.states[Stream{name, id}]
		s.rehearsal.mu.Unlock()
		if ok {
			return l, nil
		}
	}
	return s.reader.Load(ctx, name, id)
}

// rehearse decides a command on top of those rehearsed before it, and appends nothing.
func (s shop) rehearse(ctx context.Context, o *attempt) (out es.Outcome, err error) {
	if o.of.InPlace {
		return out, fmt.Errorf("rehearse %s: it evolves in place, so what it was can't be kept", o.stream)
	}
	l, err := s.Load(ctx, o.of.Name, o.ID)
	if err != nil {
		return out, err
	}
	m := o.meta(l.Owner, s.Clock.Now(), time.Time{})
	events, err := o.decide(l.State, m)
	if err == nil && len(events) > 0 {
		rule := s
		rule.reads = nil // as where the command takes effect
		err = o.check(ctx, rule, m)
	}
	if out.Version = l.Version; err != nil || len(events) == 0 {
		return out, err
	}
	defer guardAt("evolve", o.stream, nowhere, &err)
	for _, ev := range events {
		typ, _, _, err := o.of.EncodeEvent(ev)
		if err != nil {
			return out, fmt.Errorf("%s: %w", o.stream, err)
		}
		out.Events = append(out.Events, typ)
		l.State = o.of.Evolve(ev, l.State)
	}
	l.Version += int64(len(events))
	out.Version = l.Version
	s.rehearsal.mu.Lock()
	defer s.rehearsal.mu.Unlock()
	s.rehearsal.states[o.stream] = l
	return out, nil
}

// shop is the [es.Shop] of a task.
type shop struct {
	reader
	task      string
	sends     map[string]bool // aggregates; nil: all
	buckets   []es.Bucket
	stopping  func() bool
	rehearsal *rehearsal // of a check; nil: commands take effect
}

func (s shop) Stopping() bool { return s.stopping() }

// Execute implements [es.Shop].
func (s shop) Execute(ctx context.Context, commands ...es.TaskCommand) []es.Outcome {
	outcomes := make([]es.Outcome, len(commands))
	groups := map[Stream][]int{}
	var order []Stream
	for i, c := range commands {
		st := Stream{c.Aggregate, c.ID}
		if groups[st] == nil {
			order = append(order, st)
		}
		groups[st] = append(groups[st], i)
	}
	run := func(st Stream) {
		for _, i := range groups[st] {
			outcomes[i] = s.executeOne(ctx, commands[i])
		}
	}
	s.parallel(len(order), func(i int) { run(order[i]) })
	return outcomes
}

// parallel calls do for 0 to n-1, Parallel calls at a time.
func (e *Engine) parallel(n int, do func(i int)) {
	if e.Parallel == 1 {
		for i := range n {
			do(i)
		}
		return
	}
	work := make(chan int)
	var wg sync.WaitGroup
	for range min(e.Parallel, n) {
		wg.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
}

func (s shop) executeOne(ctx context.Context, c es.TaskCommand) es.Outcome {
	if err := ctx.Err(); err != nil {
		return es.Outcome{Err: err}
	}
	a := s.aggregates[c.Aggregate]
	if a == nil {
		return es.Outcome{Err: fmt.Errorf("task %s: there is no aggregate %s", s.task, c.Aggregate)}
	}
	if s.sends != nil && !s.sends[c.Aggregate] {
		return es.Outcome{Err: fmt.Errorf("task %s: it sends to %s, which its Sends does not name", s.task, c.Aggregate)}
	}
	if !es.ValidInternalID(c.ID) || !a.Internal && !es.ValidID(c.ID) {
		return es.Outcome{Err: ErrInvalidID.Because("%q names no %s", c.ID, c.Aggregate)}
	}
	o, err := s.order(a, Request{Command: c.Command, Caller: s.caller, CorrelationID: c.CorrelationID})
	if err != nil {
		return es.Outcome{Err: err}
	}
	if s.rehearsal != nil {
		out, err := s.rehearse(ctx, o)
		out.Err = err
		return out
	}
	if o.messageID = c.MessageID; o.messageID == "" {
		o.messageID = s.Clock.NewID()
	}
	o.identify(CommandID{Origin: KindTask + ":" + s.task + "/" + o.messageID})
	out, err := s.execute(ctx, o)
	return es.Outcome{Version: out.Version, Events: out.Events, Err: err}
}
