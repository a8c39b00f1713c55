package sim

import (
	"context"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/lanes"
)

// reader passes the whole log and has a durable mark, as those of platform/local do.
type reader struct {
	name     string
	concerns map[string]bool // aggregates
	do       func(context.Context, engine.Commit) error
	lanes    *lanes.Lanes[engine.Commit]
}

// openReaders gives a process the readers of the log in the place of messages, from where
// their marks are.
func (w *World) openReaders(p *Process) {
	p.readers = []*reader{
		{"rows", p.Sources(engine.KindReadModel), p.Project, nil},
		{"commands", p.Sources(engine.KindMapping, engine.KindPublication, engine.KindErasure), p.RelayCommands, nil},
		{"effects", p.Sources(engine.KindSideEffect), p.RelayEffects, nil},
	}
	for _, r := range p.readers {
		r.lanes = lanes.New[engine.Commit](w.marks[r.name])
	}
	w.read(p)
}

// committed lets the readers know of a commit.
func (w *World) committed(p *Process, c engine.Commit) {
	w.order = append(w.order, engine.Commit{Stream: c.Stream, Seq: c.Seq})
	for _, r := range p.readers {
		if !c.Meta.Bulk && r.concerns[c.Stream.Aggregate] {
			r.lanes.Live(lanes.Item[engine.Commit]{Position: int64(len(w.order)), Stream: c.Stream, Value: c})
		}
	}
	w.read(p)
}

// read starts what reads, unless it does already.
func (w *World) read(p *Process) {
	if p.reading {
		return
	}
	p.reading = true
	w.Spawn("readers", func(ctx context.Context) {
		defer func() { p.reading = false }()
		for !p.gone() && w.readOn(p) {
			w.step(ctx)
		}
	})
}

// readOn takes one step of one reader; false: there is nothing to do.
func (w *World) readOn(p *Process) (more bool) {
	for _, r := range p.readers {
		inHand, _ := r.lanes.InHand()
		more = more || inHand > 0 || r.lanes.Seen() < int64(len(w.order)) || r.lanes.Ready(lanes.Live) || w.marks[r.name] != r.lanes.Mark()
	}
	r := p.readers[w.rand.IntN(len(p.readers))]
	switch n := w.rand.IntN(6); {
	case n == 0:
		if w.marks[r.name] = r.lanes.Mark(); w.Fault == MarkAhead {
			w.marks[r.name] = r.lanes.Seen()
		}
	case n < 3:
		if at := r.lanes.Seen(); at < int64(len(w.order)) {
			c := w.order[at]
			c = w.garbled(w.Log(c.Stream)[c.Seq])
			r.lanes.Pass(lanes.Item[engine.Commit]{Position: at + 1, Stream: c.Stream, Value: c}, r.concerns[c.Stream.Aggregate])
		}
	default:
		lane := lanes.Lane(n % 2)
		x := r.lanes.Next(lane)
		if x == nil {
			break
		}
		w.Spawn("read "+x.Stream.String(), func(ctx context.Context) {
			if lane == lanes.Bulk {
				ctx = engine.Bulk(ctx)
			}
			c := x.Value
			err := r.do(ctx, c)
			if p.gone() {
				return
			}
			if err != nil { // it is put off, durably
				w.Post("later "+c.Stream.String(), func(ctx context.Context, to *Process) error {
					for _, again := range to.readers {
						if again.name == r.name {
							return again.do(ctx, w.garbled(c.Detached()))
						}
					}
					return nil
				})
			}
			r.lanes.Done(x)
		})
	}
	return more
}

// beginAt records where the followers begin that are new.
func (p *Process) beginAt(plugin string) {
	w := p.world
	known, now := w.begun[plugin], int64(len(w.order))
	if known == nil {
		known = map[string]int64{}
		w.begun[plugin] = known
	}
	for _, name := range p.Consumers() {
		if _, ok := known[name]; (!ok || w.Fault == StartAgain) && engine.ParseConsumer(name).Plugin() == plugin {
			known[name] = now
		}
	}
}
