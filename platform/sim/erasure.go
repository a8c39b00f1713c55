package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

var errKeyIsThere = errors.New("it can be read")

// Key implements [engine.Keys].
func (p *Process) Key(ctx context.Context, s engine.Stream, make bool) (key []byte, err error) {
	err = p.call(ctx, func() (err error) { key, err = p.world.store.Key(ctx, s, make); return err })
	return key, err
}

// Destroy implements [engine.Keys].
func (p *Process) Destroy(ctx context.Context, s engine.Stream) error {
	return p.call(ctx, func() error {
		if p.world.Fault == KeepKeys {
			return nil
		}
		return p.world.store.Destroy(ctx, s)
	})
}

// keepsRow says whether the row of a subject who is erased is to stay as it is, which is
// wrong.
func (w *World) keepsRow(ctx context.Context, row engine.Row) bool {
	if w.Fault != KeepRows {
		return false
	}
	for source := range row.At {
		if _, err := w.store.Key(ctx, engine.Stream{Aggregate: source, ID: row.ID}, false); errors.Is(err, engine.ErrErased) {
			return true
		}
	}
	return false
}

// plain is an engine that reads what is stored, with nothing in its way.
func (w *World) plain() (*engine.Engine, error) {
	s := w.store
	return engine.New(engine.Config{
		Plugins: w.Plugins, Log: s, Cursors: s, Starts: s, Rows: s, Parking: s, Rejections: s, Schedules: s, Keys: s, Clock: memoryClock{w},
	})
}

// memoryClock is the world's, which nobody waits for.
type memoryClock struct{ w *World }

func (c memoryClock) Now() time.Time { return c.w.now }

func (c memoryClock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func (c memoryClock) NewID() string { return "plain" }

// rows are all that are stored, opened.
func (w *World) rows() ([]engine.Row, error) {
	e, err := w.plain()
	if err != nil {
		return nil, err
	}
	rows := w.store.AllRows()
	for i, r := range rows {
		if rows[i], err = e.Rows.Row(context.Background(), r.Model, r.ID); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// CheckErased holds erasures to be done: of whoever is erased the key is destroyed. What is
// personal is in no store in plain, whoever it is about: texts are what only personal fields
// have. The number of those who are erased comes back, too.
func (w *World) CheckErased(texts ...string) (erased int, err error) {
	for _, s := range w.subjectsErased() {
		erased++
		if _, err := w.store.Key(context.Background(), s, false); !errors.Is(err, engine.ErrErased) {
			return erased, fmt.Errorf("%s is erased, and its key is there: %w", s, errors.Join(errKeyIsThere, err))
		}
	}
	for _, text := range texts {
		if where := w.store.Find(text); where != nil {
			return erased, fmt.Errorf("%q is stored for all to read in %q", text, where)
		}
	}
	return erased, nil
}

// subjectsErased are the streams that have an event of erasure.
func (w *World) subjectsErased() (streams []engine.Stream) {
	for name, d := range w.Definitions() {
		erases := map[string]bool{}
		for _, e := range d.Events {
			erases[e.Name] = e.Erases
		}
		for _, id := range w.StreamsOf(name) {
			s := engine.Stream{Aggregate: name, ID: id}
			if slices.ContainsFunc(w.Log(s), func(c engine.Commit) bool {
				return slices.ContainsFunc(c.Events, func(e es.StoredEvent) bool { return erases[e.Type] })
			}) {
				streams = append(streams, s)
			}
		}
	}
	return streams
}

// OpenedLog is a stream's commits as they were before they were sealed.
func (w *World) OpenedLog(s engine.Stream) (log []engine.Commit, err error) {
	log = w.Log(s)
	if !w.Definitions()[s.Aggregate].Personal() {
		return log, nil
	}
	e, err := w.plain()
	if err != nil {
		return nil, err
	}
	opened := make([]engine.Commit, len(log))
	for i, c := range log {
		if opened[i], err = e.Opened(context.Background(), c); err != nil {
			return nil, err
		}
	}
	return opened, nil
}
