package local

import (
	"context"
	"log/slog"
	"testing"

	"onlineshop/es"
	"onlineshop/platform/platformtest"
)

// open opens a platform that the test closes.
func open(t testing.TB, o Options) *Platform {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open %s: %v", o.Dir, err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Errorf("close %s: %v", o.Dir, err)
		}
	})
	return p
}

func TestConformance(t *testing.T) {
	platformtest.Test(t, func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
		p := open(t, Options{Dir: t.TempDir(), Plugins: plugins})
		return platformtest.Ports{
			Log: p.store, Cursors: p.store, Rows: p.store, Parking: p.store, Snapshots: p.store,
			SeesGaps: true, Engine: p.Engine(), Settle: p.CaughtUp,
		}
	})
}
