package local

import (
	"context"
	"fmt"
	"sync"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
)

// refolding are the read models whose rows an earlier program may have made by other code,
// or stored without what this one sorts and searches them by.
type refolding struct {
	turn sync.Mutex        // held while they are refolded
	done func(streams int) // hears of each page; nil: nobody

	mu     sync.Mutex
	models map[string]refold
}

// refold is how far a read model's rows are, and what is stored of it once they are done.
type refold struct {
	declared int64
	engine.Refolded
}

func declaredName(model string) key { return keyIn(tableStore).text("declared " + model) }

// get returns how far the read model is; ok: it is to be refolded.
func (r *refolding) get(model string) (x refold, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, ok = r.models[model]
	return x, ok
}

func (r *refolding) set(model string, x refold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.models[model] = x
}

// outdated finds the read models to refold, and tells of them.
func (p *Platform) outdated(ctx context.Context) error {
	out := map[string]refold{}
	for _, x := range p.Plugins {
		for _, m := range x.ReadModels {
			d := m.Definition()
			d.Name = naming.Full(x.Name, d.Name)
			var stored int64
			if _, err := p.store.get(ctx, declaredName(d.Name), func(f *fields) { stored = f.number() }); err != nil {
				return err
			}
			if declared := engine.Declared(d); declared != stored {
				out[d.Name] = refold{declared: declared}
			}
		}
	}
	if p.store.feed.last() == 0 { // nothing is stored yet
		return p.refolded(ctx, out)
	}
	p.refolding.models = out
	for model := range out {
		p.problems.set("view "+model, fmt.Errorf("what %s is made by, or sorted and searched by, has changed: its rows are being brought up to date, and until then lists may miss some, or show them as they were", model))
	}
	return nil
}

// stale is [engine.Config].Refolding.
func (p *Platform) stale(_ context.Context, model string) (bool, error) {
	_, ok := p.refolding.get(model)
	return ok, nil
}

// refold folds their rows again.
func (p *Platform) refold(ctx context.Context) error {
	p.refolding.turn.Lock()
	defer p.refolding.turn.Unlock()
	for _, x := range p.Plugins {
		for _, m := range x.ReadModels {
			if err := p.refoldModel(ctx, m.Definition(), naming.Full(x.Name, m.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Platform) refoldModel(ctx context.Context, d es.ReadModelDefinition, model string) error {
	x, ok := p.refolding.get(model)
	if !ok {
		return nil
	}
	x.Refolded = engine.Refolded{}
	for _, source := range d.Sources {
		for cursor, more := "", true; more; more = cursor != "" {
			ids, next, err := p.store.Streams(ctx, source, cursor)
			if err != nil {
				return fmt.Errorf("count the streams of %s: %w", source, err)
			}
			x.Of, cursor = x.Of+len(ids), next
			if p.stopping() {
				return nil
			}
		}
	}
	skipped := 0
	for cursor, more := "", true; more; more = cursor != "" {
		progress, err := p.engine.Refold(ctx, model, cursor)
		if err != nil {
			return fmt.Errorf("refold %s: %w", model, err)
		}
		cursor, skipped = progress.Next, skipped+progress.Skipped
		x.Done += progress.Done
		x.Of = max(x.Of, x.Done+skipped) // some have begun since
		p.refolding.set(model, x)
		if p.refolding.done != nil {
			p.refolding.done(progress.Done)
		}
		if p.stopping() {
			return nil
		}
	}
	if skipped > 0 {
		return nil // a newer program can read the rest: it is still said
	}
	if err := p.refolded(ctx, map[string]refold{model: x}); err != nil {
		return err
	}
	p.refolding.mu.Lock()
	delete(p.refolding.models, model)
	p.refolding.mu.Unlock()
	p.problems.set("view "+model, nil)
	return nil
}

func (p *Platform) refolded(ctx context.Context, models map[string]refold) error {
	if len(models) == 0 {
		return nil
	}
	return p.store.write(ctx, func(t *tx) error {
		for model, x := range models {
			t.set(declaredName(model), value(nil).number(x.declared))
		}
		return nil
	}, nil)
}
