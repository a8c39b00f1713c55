package aws

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// refolding is what a plugin's item [wiring.DeclaredKey] has of a read model: which code
// makes its rows, by what they are sorted and searched, and while they are being brought
// up to date, since when and how far that is.
type refolding struct {
	declared int64
	since    time.Time // zero: they are up to date
	cursor   string
	done     int
}

func (r refolding) String() string {
	if r.since.IsZero() {
		return strconv.FormatInt(r.declared, 10)
	}
	return fmt.Sprintf("%d %s %s %d", r.declared, es.FormatTime(r.since), r.cursor, r.done)
}

func parseRefolding(s string) (r refolding) {
	f := append(strings.Split(s, " "), "", "", "")
	r.declared, _ = strconv.ParseInt(f[0], 10, 64)
	r.since, _ = time.Parse(time.RFC3339Nano, f[1]) // this file alone writes it
	r.cursor = f[2]
	r.done, _ = strconv.Atoi(f[3])
	return r
}

// refold brings rows up to date that were stored by a program that makes, sorts or searches
// them by something else, for as long as there is time. It begins a turn of the schedule
// after it has noticed, when no older function runs any more.
func (p *Platform) refold(ctx context.Context, plugin string) error {
	table, err := p.store.cursors(plugin)
	if err != nil {
		return err
	}
	key := item{wiring.Key: str(wiring.DeclaredKey)}
	kept, err := p.store.get(ctx, table, key)
	if err != nil {
		return err
	}
	for _, d := range p.declared(plugin) {
		short, now := naming.Short(d.Name), engine.Declared(d)
		r := parseRefolding(text(kept, short))
		if r.declared == now && r.since.IsZero() {
			continue
		}
		if r.declared != now {
			r = refolding{declared: now, since: p.clock.Now()}
		} else {
			for more := true; more && !deadlineNear(ctx); more = r.cursor != "" {
				// All rows: a program that knows nothing of Row.Made has left it as it was.
				progress, err := p.engine.Rebuild(ctx, d.Name, r.cursor)
				if err != nil {
					return fmt.Errorf("refold %s: %w", d.Name, err)
				}
				r.done += progress.Done
				if r.cursor = progress.Next; r.cursor == "" {
					r.since = time.Time{}
				}
			}
		}
		e := newExpression()
		if _, err := p.store.update(ctx, table, key, e, "SET "+e.name(short)+" = "+e.value(str(r.String())), ""); err != nil {
			return fmt.Errorf("refold %s: %w", d.Name, err)
		}
	}
	return nil
}

// declared are the plugin's read models, by their full names.
func (p *Platform) declared(plugin string) (out []es.ReadModelDefinition) {
	for _, x := range p.Plugins {
		if x.Name != plugin {
			continue
		}
		for _, m := range x.ReadModels {
			d := m.Definition()
			d.Name = naming.Full(x.Name, d.Name)
			out = append(out, d)
		}
	}
	return out
}

// outdated tells of the plugin's views whose rows are being brought up to date, and how far
// each is, by its full name.
func (p *Platform) outdated(ctx context.Context, plugin string) (problems []engine.Problem, refolded map[string]engine.Refolded, err error) {
	kept, err := p.refoldings(ctx, plugin)
	if err != nil {
		return nil, nil, err
	}
	refolded = map[string]engine.Refolded{}
	for _, d := range p.declared(plugin) {
		r := kept[d.Name]
		if r.declared == engine.Declared(d) && r.since.IsZero() {
			continue
		}
		refolded[d.Name] = engine.Refolded{Done: r.done}
		if !r.since.IsZero() {
			problems = append(problems, engine.Problem{
				Component: "view " + d.Name, Since: r.since,
				Detail: fmt.Sprintf("what %s is made by, or sorted and searched by, has changed: its rows are being brought up to date, and until then lists may miss some, or show them as they were", d.Name),
			})
		}
	}
	return problems, refolded, nil
}

// refoldings reads how far the plugin's views are, by their full names.
func (p *Platform) refoldings(ctx context.Context, plugin string) (map[string]refolding, error) {
	table, err := p.store.cursors(plugin)
	if err != nil {
		return nil, err
	}
	kept, err := p.store.get(ctx, table, item{wiring.Key: str(wiring.DeclaredKey)})
	if err != nil {
		return nil, err
	}
	out := map[string]refolding{}
	for _, d := range p.declared(plugin) {
		out[d.Name] = parseRefolding(text(kept, naming.Short(d.Name)))
	}
	return out, nil
}

// staleness is which read models are being refolded, as far as this process knows.
type staleness struct {
	sync.Mutex
	until map[string]time.Time       // by plugin: when to look again
	known map[string]map[string]bool // by plugin, its models that are
}

// staleFor is how long a view that is being refolded is taken to be.
const staleFor = 10 * time.Second

// stale is [engine.Config].Refolding. A plugin whose views are all up to date is looked at
// once: rows that are still made by an older program's functions show that themselves.
func (p *Platform) stale(ctx context.Context, model string) (bool, error) {
	plugin := naming.Plugin(model)
	p.outdatedViews.Lock()
	defer p.outdatedViews.Unlock()
	s, now := &p.outdatedViews, p.clock.Now()
	if known, ok := s.known[plugin]; !ok || len(known) > 0 && !now.Before(s.until[plugin]) {
		_, refolded, err := p.outdated(ctx, plugin)
		if err != nil {
			return false, fmt.Errorf("see whether %s is up to date: %w", model, err)
		}
		if s.known == nil {
			s.known, s.until = map[string]map[string]bool{}, map[string]time.Time{}
		}
		s.known[plugin], s.until[plugin] = map[string]bool{}, now.Add(staleFor)
		for m := range refolded {
			s.known[plugin][m] = true
		}
	}
	return s.known[plugin][model], nil
}
