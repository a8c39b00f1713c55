package aws

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/local"
	"onlineshop/platform/platformtest"
	"onlineshop/platform/portable"
)

func scratch(t testing.TB) *local.Scratch {
	t.Helper()
	s, err := local.OpenScratch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// atOnce makes backups without the time that clocks of functions may differ by.
func atOnce(t testing.TB) {
	was := backupMargin
	backupMargin = 0
	t.Cleanup(func() { backupMargin = was })
}

// movable is the cloud's shop, of which all functions work with one program.
func (c *cloud) movable(plugins []es.Plugin) platformtest.Movable {
	var p *Platform
	var ports func(t *testing.T, plugins []es.Plugin) platformtest.Ports
	ports = func(_ *testing.T, plugins []es.Plugin) platformtest.Ports {
		c.deploy(plugins)
		p = c.platform(plugins...)
		return platformtest.Ports{
			Log: p.store, Cursors: p.store, Rows: p.store, Parking: p.store, Rejections: p.store, Schedules: p.store, Snapshots: p.store,
			Engine: p.engine, Settle: c.deliver, Reopen: ports,
		}
	}
	return platformtest.Movable{Ports: ports(nil, plugins), Backup: func(ctx context.Context, yield func(portable.Line) error) error {
		return p.Backup(scratch(c.t), func(int64) {})(ctx, yield)
	}}
}

// restored is another, empty cloud that the file is restored into.
func restored(t *testing.T, plugins []es.Plugin, file portable.File) platformtest.Movable {
	c := newCloud(t, plugins)
	// Where functions have run before
	for _, x := range plugins {
		if _, err := c.platforms[x.Name].tick(t.Context(), x.Name); err != nil {
			t.Fatal(err)
		}
	}
	platformtest.Restore(t, file, scratch(t), c.platform(plugins...).Restore())
	c.deploy(plugins) // new instances
	return c.movable(plugins)
}

// folder is a data folder that the file is restored into.
func folder(t *testing.T, plugins []es.Plugin, file portable.File) platformtest.Movable {
	o := local.Options{Dir: t.TempDir(), Plugins: plugins, Logger: slog.New(slog.DiscardHandler)}
	to, err := local.OpenToRestore(t.Context(), o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Restore(t, file, scratch(t), to)
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := local.Fold(t.Context(), o, func(int) {}); err != nil {
		t.Fatal(err)
	}
	var p *local.Platform
	var ports func(t *testing.T, plugins []es.Plugin) platformtest.Ports
	ports = func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
		if p != nil {
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		o.Plugins = plugins
		var err error
		if p, err = local.Open(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close(context.Background()) }) // again does nothing
		e := p.Engine()
		return platformtest.Ports{
			Log: e.Log, Cursors: e.Cursors, Rows: e.Rows, Parking: e.Parking, Rejections: e.Rejections, Schedules: e.Schedules, Snapshots: e.Snapshots,
			Engine: e, Settle: p.CaughtUp, Reopen: ports,
		}
	}
	return platformtest.Movable{Ports: ports(t, plugins), Backup: func(ctx context.Context, yield func(portable.Line) error) error { return p.Backup(ctx, yield) }}
}

func TestAShopMovesFromStackToStack(t *testing.T) {
	atOnce(t)
	platformtest.Move(t, platformtest.NewWorld(), func(t *testing.T, plugins []es.Plugin) platformtest.Movable {
		return newCloud(t, plugins).movable(plugins)
	}, restored)
}

func TestAShopMovesFromAStackToAFolder(t *testing.T) {
	atOnce(t)
	platformtest.Move(t, platformtest.NewWorld(), func(t *testing.T, plugins []es.Plugin) platformtest.Movable {
		return newCloud(t, plugins).movable(plugins)
	}, folder)
}

func TestAShopMovesFromAFolderToAStack(t *testing.T) {
	atOnce(t)
	platformtest.Move(t, platformtest.NewWorld(), func(t *testing.T, plugins []es.Plugin) platformtest.Movable {
		return folder(t, plugins, platformtest.BackUp(t, func(context.Context, func(portable.Line) error) error { return nil }))
	}, restored)
}

func TestAStackWithAHistoryIsNotRestoredInto(t *testing.T) {
	atOnce(t)
	// Given a stack with a start of another history
	plugins := platformtest.Library{World: platformtest.NewWorld()}.Plugins()
	c := newCloud(t, plugins)
	p := c.platform(plugins...)
	c0 := engine.Commit{
		Stream: engine.Stream{Aggregate: "Lending.Probe", ID: "p"}, Version: 1,
		Events: []es.StoredEvent{{Type: "Probed", Version: 1, Data: []byte(`{"text":"x"}`)}}, Meta: engine.Meta{Time: time.Now()},
	}
	if err := p.store.Append(t.Context(), c0); err != nil {
		t.Fatal(err)
	}
	// When a file is to be restored into it
	_, err := p.Restore().Begin(t.Context(), "a file")
	// Then it is refused, and nothing is written
	if err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restore: %v", err)
	}
}
