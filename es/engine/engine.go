package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
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
	Hints        Hints
	Bus          Bus
	Publications Publications // nil: every plugin runs in this process
	Snapshots    Snapshots    // nil: no snapshots
	StreamLock   StreamLock   // nil: commands on one stream race
	Clock        Clock
	Logger       *slog.Logger // nil: slog.Default
	// Count, if set, is called once per event that operators count, e.g. with
	// ("SideEffectFailed", "effect:Ordering.SendOrderConfirmation"). It must be safe
	// for concurrent use.
	Count func(metric, consumer string)
	// Parallel is the number of aggregates that a task, a sweep or a rebuild works on
	// concurrently. Default 1.
	Parallel int
	// CacheBytes bounds the estimated size of the cached aggregate states. Default
	// 64 MiB.
	CacheBytes int64
	// DedupWindow is the number of most recent commits per aggregate whose command ids
	// are kept for deduplication. Default 256.
	DedupWindow int
	// SnapshotEvery is the number of commits between two snapshots. Default 100.
	SnapshotEvery int64

	retried bool // the ports are wrapped by retryPorts
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
	cache      *cache
}

// aggregate is an aggregate's definition with everything that consumes its events.
type aggregate struct {
	es.AggregateDefinition
	plugin    string
	commands  map[string]es.CommandDefinition
	followers []*follower // mappings and side effects
	points    []*point    // where its events are published
	models    []*model
}

// point is an extension point with the publications of its single source.
type point struct {
	es.PointDefinition
	source       string
	publications []es.Publication
}

// publisher returns the point's consumer name, under which its failures are parked.
func (p *point) publisher() string { return ConsumerID{KindPublication, p.Name}.String() }

type model struct {
	es.ReadModelDefinition
	consumer string
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
	if !c.retried {
		retryPorts(&c)
	}
	e := &Engine{
		Config: c, aggregates: map[string]*aggregate{}, models: map[string]*model{},
		followers: map[string]*follower{}, points: map[string]*point{}, beginners: map[string]*startingFollowers{}, cache: newCache(c.CacheBytes),
	}
	for _, p := range c.Plugins {
		e.beginners[p.Name] = &startingFollowers{}
		for _, a := range p.Aggregates {
			d := a.Definition()
			if e.aggregates[d.Name] != nil {
				return nil, fmt.Errorf("plugin %s: there are two aggregates %s", p.Name, d.Name)
			}
			x := &aggregate{AggregateDefinition: d, plugin: p.Name, commands: map[string]es.CommandDefinition{}}
			for _, cmd := range d.Commands {
				x.commands[cmd.Name] = cmd
			}
			e.aggregates[d.Name] = x
			e.names = append(e.names, d.Name)
		}
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
	for _, b := range e.beginners {
		if e.Starts == nil && len(b.names) > 0 {
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
	for _, m := range p.ReadModels {
		d := m.Definition()
		d.Name = naming.Full(p.Name, d.Name)
		x := &model{d, ConsumerID{KindReadModel, d.Name}.String()}
		if e.models[d.Name] != nil {
			return fmt.Errorf("there are two read models %s", d.Name)
		}
		for _, s := range d.Sources {
			a, err := source(m.Name(), s)
			if err != nil {
				return err
			}
			a.models = append(a.models, x)
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
		if d.Delay < 0 || d.Delay > es.MaxDelay {
			return fmt.Errorf("mapping %s.%s: a delay is between 0s and %s, not %s", p.Name, d.Name, es.MaxDelay, d.Delay)
		}
		if err := e.add(a, e.mapping(p.Name, d)); err != nil {
			return err
		}
	}
	for _, t := range p.Tasks {
		for _, d := range t.SideEffects {
			a, err := source(d.Name, d.Source)
			if err != nil {
				return err
			}
			if err := e.add(a, e.effect(p.Name, d)); err != nil {
				return err
			}
		}
	}
	for _, d := range p.Publications {
		a, err := source(d.Point.Name, d.Source)
		if err != nil {
			return err
		}
		pt := e.points[d.Point.Name]
		if pt == nil {
			pt = &point{PointDefinition: d.Point, source: d.Source}
			e.points[d.Point.Name] = pt
			a.points = append(a.points, pt)
		}
		if pt.source != d.Source {
			return fmt.Errorf("%s publishes at %s, which %s does too: an extension point has one source", d.Source, d.Point.Name, pt.source)
		}
		pt.publications = append(pt.publications, d)
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
		b := e.beginners[f.plugin]
		b.names = append(b.names, f.name)
	}
	return nil
}

func (e *Engine) listen(p es.Plugin, d es.Extension) error {
	if a := e.aggregates[d.Target]; a == nil || a.plugin != p.Name {
		return fmt.Errorf("%s.%s: %s is not an aggregate of its plugin", p.Name, d.Name, d.Target)
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
		*err = fmt.Errorf("%s: panic: %v\n%s", what, r, debug.Stack())
	}
}

// Guarded calls do and returns its error. A panic is an error, too, so that it ends this
// piece of work alone.
func Guarded(what string, do func() error) (err error) {
	defer Guard(what, &err)
	return do()
}
