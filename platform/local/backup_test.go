package local

import (
	"context"
	"testing"

	"onlineshop/es"
	"onlineshop/platform/platformtest"
	"onlineshop/platform/portable"
)

// scratch is one that the test closes.
func scratch(t testing.TB) *Scratch {
	t.Helper()
	s, err := OpenScratch(t.TempDir())
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

// restoreInto restores a file into a folder, as "shop restore" does.
func restoreInto(t testing.TB, file portable.File, dir string, plugins []es.Plugin) {
	t.Helper()
	to, err := OpenToRestore(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Restore(t, file, scratch(t), to)
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Fold(t.Context(), Options{Dir: dir, Plugins: plugins, Logger: quiet}, func(int) {}); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderMovesToAnother(t *testing.T) {
	var p *Platform
	movable := func(t *testing.T, dir string, plugins []es.Plugin) platformtest.Movable {
		var ports func(t *testing.T, plugins []es.Plugin) platformtest.Ports
		ports = func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
			if p != nil {
				if err := p.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			p = open(t, Options{Dir: dir, Plugins: plugins})
			at := p
			return platformtest.Ports{
				Log: at.store, Cursors: at.store, Rows: at.store, Parking: at.store, Rejections: at.store, Schedules: at.store, Snapshots: at.store,
				Engine: at.engine, Settle: at.CaughtUp, Reopen: ports,
			}
		}
		m := platformtest.Movable{Ports: ports(t, plugins)}
		m.Backup = func(ctx context.Context, yield func(portable.Line) error) error { return p.Backup(ctx, yield) }
		return m
	}
	platformtest.Move(t, platformtest.NewWorld(), func(t *testing.T, plugins []es.Plugin) platformtest.Movable {
		return movable(t, t.TempDir(), plugins)
	}, func(t *testing.T, plugins []es.Plugin, file portable.File) platformtest.Movable {
		dir := t.TempDir()
		restoreInto(t, file, dir, plugins)
		return movable(t, dir, plugins)
	})
}
