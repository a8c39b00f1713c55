package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// Config configures an engine. Publications, Snapshots and StreamLock are optional.
type Config struct {
	Plugins      []es.Plugin
	Log          Log
	Cursors      Cursors
	Starts       Starts
	Rows         Rows
	Parking      Parking
	Rejections   Rejections
	Schedules    Schedules // nil: no plugin has a schedule
	Buckets      Buckets   // nil: no task has buckets, or writes reports by itself
	Hints        Hints
	Bus          Bus
	Publications Publications // nil: every plugin runs in this process
	Keys         Keys         // nil: no aggregate has personal data
	Snapshots    Snapshots    // nil: no snapshots
	StreamLock   StreamLock   // nil: commands on one stream race
	Clock        Clock
	Logger       *slog.Logger // nil: slog.Default
	// Count, if set, is called once per event that operators count, e.g. with
	// ("SideEffectFailed", "effect:Ordering.SendOrderConfirmation"). It must be safe
	// for concurrent use.
	Count func(metric, consumer string)
	// Forget, if set, removes what the platform keeps of a stream's subject that the engine
	// does not know of, such as e-mails: see [Subjects]. It may be called again.
	Forget func(ctx context.Context, s Stream) error
	// Tracer makes a span for each command, follower's work, row and task's run. Commits keep
	// the span that made them, and what follows from them is in its trace. nil: no spans;
	// commits keep the request's traceparent.
	Tracer Tracer
	// Refolding, if set, reports whether rows of a read model may still be missing what
	// [Engine.Refold] brings them.
	Refolding func(ctx context.Context, model string) (bool, error)
	// Parallel is the number of aggregates that a task, a sweep or a rebuild works on
	// concurrently. Default 1.
	Parallel int
	// CacheBytes bounds the estimated size of the cached aggregate states. Default
	// 64 MiB.
	CacheBytes int64
	// DedupWindow is the number of most recent commits per aggregate whose command ids
	// are kept for deduplication. Default 256.
	DedupWindow int
	// CheckLog, if set, is what [Engine.Verify] ends with, page by page: whatever only the
	// platform can know of its log. next is the cursor of the following page.
	CheckLog func(ctx context.Context, cursor string) (found []Finding, next string, err error)
	// Unsealed appends commits without a hash, as earlier versions did. For tests.
	Unsealed bool
	// SnapshotEvery is the number of commits between two snapshots. Default 100.
	SnapshotEvery int64
	// ItemsAtOnce is how many rows below a stream one write has. Default and most:
	// [ItemsAtOnce].
	ItemsAtOnce int

	retried bool // the ports are wrapped by retryPorts
	checked bool // the log is wrapped by checkedLog
	sealed  bool // the rows are wrapped by sealedRows
}

// Engine runs plugins. Its methods are safe for concurrent use.
type Engine struct {
	Config
	aggregates map[string]*aggregate
	names      []string // of aggregates, as the plugins list them
	models     map[string]*model
	followers  map[string]*follower
	points     map[string]*point
	beginners  map[string]*startingFollowers // by plugin
	schedules  []*schedule                   // as the plugins list them
	cache      *cache
	personal   bool // some aggregate has personal data
}

// aggregate is an aggregate's definition with everything that consumes its events.
type aggregate struct {
	es.AggregateDefinition
	plugin    string
	subject   *subject // nil: it has no personal data
	commands  map[string]es.CommandDefinition
	followers []*follower // mappings and side effects
	points    []*point    // where its events are published
	models    []*model
}

// point is an extension point with the publications of its sources.
type point struct {
	es.PointDefinition
	publications map[string][]es.Publication // by source
}

// publisher returns the point's consumer name, under which its failures are parked.
func (p *point) publisher() string { return ConsumerID{KindPublication, p.Name}.String() }

type model struct {
	es.ReadModelDefinition
	consumer string
	fields   map[string]Order // how each field of a row sorts
	orders   map[string]Order // by declared sort
	declared int64            // see [Declared]
	subjects []string         // sources that have personal data
}

// Rejections by the engine. The domain has its own.
var (
	ErrInvalidID         = &es.Rejection{Code: "InvalidId", Status: http.StatusUnprocessableEntity}
	ErrForbidden         = &es.Rejection{Code: "Forbidden", Status: http.StatusForbidden}
	ErrNotFound          = es.NotFound("NotFound")
	ErrKeyReused         = &es.Rejection{Code: "IdempotencyKeyReused", Status: http.StatusUnprocessableEntity}
	ErrVersionMismatch   = &es.Rejection{Code: "VersionMismatch", Status: http.StatusPreconditionFailed}
	ErrVersionNotReached = es.Conflict("VersionNotReached")
	ErrContention        = &es.Rejection{Code: "Unavailable", Status: http.StatusServiceUnavailable}
	ErrCantSkip          = es.Conflict("CannotSkip")
	ErrSubjectErased     = es.Conflict("SubjectErased")
	ErrCommitTooLarge    = &es.Rejection{Code: "PayloadTooLarge", Status: http.StatusRequestEntityTooLarge}
)

// New returns an engine for the plugins. It returns an error if they don't fit together,
// e.g. if two components share a name.
func New(c Config) (*Engine, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Count == nil {
		c.Count = func(string, string) {}
	}
	if c.Tracer == nil {
		c.Tracer = noSpans{}
	}
	c.Parallel = max(c.Parallel, 1)
	if c.CacheBytes == 0 {
		c.CacheBytes = 64 << 20
	}
	if c.DedupWindow == 0 {
		c.DedupWindow = 256
	}
	if c.SnapshotEvery == 0 {
		c.SnapshotEvery = 100
	}
	if c.ItemsAtOnce == 0 {
		c.ItemsAtOnce = ItemsAtOnce
	}
	if !c.retried {
		retryPorts(&c)
	}
	e := &Engine{
		Config: c, aggregates: map[string]*aggregate{}, models: map[string]*model{},
		followers: map[string]*follower{}, points: map[string]*point{}, beginners: map[string]*startingFollowers{}, cache: newCache(c.CacheBytes),
	}
	if !c.checked {
		e.checked, e.Log = true, checkedLog{c.Log, e.damaged}
	}
	for _, p := range c.Plugins {
		e.beginners[p.Name] = &startingFollowers{}
		for _, a := range p.Aggregates {
			d := a.Definition()
			if e.aggregates[d.Name] != nil {
				return nil, fmt.Errorf("plugin %s: there are two aggregates %s", p.Name, d.Name)
			}
			x := &aggregate{AggregateDefinition: d, plugin: p.Name, subject: subjectOf(d), commands: map[string]es.CommandDefinition{}}
			for _, cmd := range d.Commands {
				x.commands[cmd.Name] = cmd
			}
			e.aggregates[d.Name] = x
			e.names = append(e.names, d.Name)
		}
	}
	for _, a := range e.aggregates {
		if a.subject == nil {
			continue
		}
		if e.personal = true; e.Keys == nil {
			return nil, fmt.Errorf("engine: %s has personal data, and without Keys it could not be erased", a.Name)
		}
		if err := e.add(a, e.erasure(a)); err != nil {
			return nil, err
		}
	}
	if e.personal && !c.sealed {
		e.Config.sealed, e.Rows = true, sealedRows{c.Rows, e}
	}
	var errs []error
	for _, p := range c.Plugins {
		errs = append(errs, e.wire(p))
	}
	for _, p := range c.Plugins {
		for _, x := range p.Extensions {
			errs = append(errs, e.listen(p, x))
		}
	}
	if sends := func(f *follower) bool { return f.target != "" }; e.Rejections == nil && slices.ContainsFunc(slices.Collect(maps.Values(e.followers)), sends) {
		errs = append(errs, errors.New("engine: without Rejections, what was refused could be accepted later"))
	}
	errs = append(errs, checkBuckets(c.Plugins))
	if e.Schedules == nil && len(e.schedules) > 0 {
		errs = append(errs, errors.New("engine: without Schedules, nobody knows what has run"))
	}
	for _, b := range e.beginners {
		if e.Starts == nil && len(b.own.names)+len(b.hearing.names) > 0 {
			errs = append(errs, errors.New("engine: without Starts, a new mapping or side effect would act on what was there before it"))
		}
	}
	return e, errors.Join(errs...)
}

func (e *Engine) wire(p es.Plugin) error {
	source := func(name, of string) (*aggregate, error) {
		a := e.aggregates[of]
		if a == nil || a.plugin != p.Name {
			return nil, fmt.Errorf("%s.%s: %s is not an aggregate of its plugin", p.Name, name, of)
		}
		return a, nil
	}
	reacts := func(name string, r *es.Reaction) error {
		if r == nil {
			return nil
		}
		_, err := source(name, r.Target)
		return err
	}
	for _, x := range p.Extensions {
		if err := reacts(x.Name, x.Rejected); err != nil {
			return err
		}
	}
	for _, m := range p.ReadModels {
		d := m.Definition()
		d.Name = naming.Full(p.Name, d.Name)
		fields, err := fieldOrders(d)
		if err != nil {
			return err
		}
		orders, err := Orders(d)
		if err != nil {
			return err
		}
		if err := validKind(d); err != nil {
			return err
		}
		if err := validMerges(d); err != nil {
			return err
		}
		x := &model{ReadModelDefinition: d, consumer: ConsumerID{KindReadModel, d.Name}.String(), fields: fields, orders: orders, declared: Declared(d)}
		if e.models[d.Name] != nil {
			return fmt.Errorf("there are two read models %s", d.Name)
		}
		for _, s := range d.Sources {
			a, err := source(m.Name(), s)
			if err != nil {
				return err
			}
			if a.models = append(a.models, x); a.subject == nil {
				continue
			}
			if x.subjects = append(x.subjects, s); len(d.Indexes)+len(d.Sorts)+len(d.Searches) > 0 || d.Kind == es.ViewKeyed {
				return fmt.Errorf("read model %s: %s has personal data, so the rows are stored encrypted: leave out By, Sort and Search, and make them es.From it", d.Name, s)
			}
		}
		e.models[d.Name] = x
	}
	for _, d := range p.Mappings {
		a, err := source(d.Name, d.Source)
		if err != nil {
			return err
		}
		if _, err := source(d.Name, d.Target); err != nil {
			return err
		}
		if err := reacts(d.Name, d.Rejected); err != nil {
			return err
		}
		if d.Delay < 0 {
			return fmt.Errorf("mapping %s.%s: a delay can't be below zero, as %s is", p.Name, d.Name, d.Delay)
		}
		if d.Delay > 0 && d.DueAt != nil {
			return fmt.Errorf("mapping %s.%s: it has a delay and a due time: say one of them", p.Name, d.Name)
		}
		if err := e.add(a, e.mapping(p.Name, d)); err != nil {
			return err
		}
	}
	for _, t := range p.Tasks {
		if _, err := e.shopOf(p.Name, t, nil); err != nil {
			return err
		}
		if err := e.plan(p.Name, t); err != nil {
			return err
		}
		for _, d := range t.SideEffects {
			var a *aggregate // none: of an extension point
			if d.Point.Name == "" {
				var err error
				if a, err = source(d.Name, d.Source); err != nil {
					return err
				}
			}
			reads, err := e.readsOf(p.Name, "side effect "+naming.Full(p.Name, d.Name), d.Readable)
			if err != nil {
				return err
			}
			if err := e.add(a, e.effect(p.Name, d, reads)); err != nil {
				return err
			}
		}
	}
	for _, d := range p.Publications {
		a, err := source(d.Point.Name, d.Source)
		if err != nil {
			return err
		}
		if naming.Plugin(d.Point.Name) != p.Name {
			return fmt.Errorf("%s publishes at %s, which is another plugin's extension point", d.Source, d.Point.Name)
		}
		pt := e.points[d.Point.Name]
		if pt == nil {
			pt = &point{d.Point, map[string][]es.Publication{}}
			e.points[d.Point.Name] = pt
		}
		if pt.publications[d.Source] == nil {
			a.points = append(a.points, pt)
		}
		pt.publications[d.Source] = append(pt.publications[d.Source], d)
	}
	return nil
}

func (e *Engine) add(a *aggregate, f *follower) error {
	if e.followers[f.name] != nil {
		return fmt.Errorf("there are two followers %s", f.name)
	}
	e.followers[f.name] = f
	if a != nil {
		a.followers = append(a.followers, f)
	}
	if (a != nil || f.skipStale) && ParseConsumer(f.name).Kind != KindErasure { // which has always been there
		b := &e.beginners[f.plugin].own
		if a == nil {
			b = &e.beginners[f.plugin].hearing
		}
		b.names = append(b.names, f.name)
	}
	return nil
}

func (e *Engine) listen(p es.Plugin, d es.Extension) error {
	if a := e.aggregates[d.Target]; a == nil || a.plugin != p.Name {
		return fmt.Errorf("%s.%s: %s is not an aggregate of its plugin", p.Name, d.Name, d.Target)
	}
	if d.Accepts && naming.Plugin(d.Point.Name) != p.Name {
		return fmt.Errorf("%s.%s accepts requests to %s, which is another plugin's extension point", p.Name, d.Name, d.Point.Name)
	}
	return e.add(nil, e.extension(p.Name, d))
}

// Authorize reports whether the caller may send the command, leaving ownership aside. It
// returns [ErrForbidden], or [ErrNotFound] if there is no such command.
func (e *Engine) Authorize(caller es.Caller, aggregate, command string) error {
	a := e.aggregates[aggregate]
	if a == nil {
		return ErrNotFound.Because("there is no aggregate %s", aggregate)
	}
	c, ok := a.commands[command]
	if !ok || c.Internal && !caller.System {
		return ErrNotFound.Because("%s has no command %s", aggregate, command)
	}
	if (!c.Access.Owner || c.Access.Denied) && !c.Access.Admits(caller) {
		return ErrForbidden.Because("%s of %s is for %s", command, aggregate, admitted(c.Access))
	}
	return nil
}

// admitted describes who is admitted, for people.
func admitted(a es.Access) string {
	switch {
	case a.Denied:
		return "the shop itself"
	case len(a.Groups) == 0:
		return "those who have signed in"
	}
	return "members of " + strings.Join(a.Groups, ", ")
}

// notFound returns the rejection for an aggregate or row that does not exist, or that the
// caller must not know of.
func notFound(aggregate, id string) *es.Rejection {
	short := naming.Short(aggregate)
	return es.NotFound(short+"NotFound").Because("there is no %s %q", short, id)
}

// Guard turns a panic of domain code into an error. Defer it.
func Guard(what string, err *error) {
	if r := recover(); r != nil {
		*err = panicked(what, r)
	}
}

// guardAt is [Guard] for work on a stream, or on its commit at seq, if that is not
// [nowhere]. What it is called is only put together where something panics.
func guardAt(what string, s Stream, seq int64, err *error) {
	if r := recover(); r != nil {
		what += " " + s.String()
		if seq != nowhere {
			what = fmt.Sprintf("%s at %d", what, seq)
		}
		*err = panicked(what, r)
	}
}

const nowhere = -1

func panicked(what string, r any) error {
	return fmt.Errorf("%s: panic: %v\n%s", what, r, debug.Stack())
}

// headline returns what an error says in its first line: a panic's stack trace is for the
// log.
func headline(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Guarded calls do and returns its error. A panic is an error, too, so that it ends this
// piece of work alone.
func Guarded(what string, do func() error) (err error) {
	defer Guard(what, &err)
	return do()
}
