package memory_test

import (
	"testing"

	"onlineshop/es"
	"onlineshop/platform/memory"
	"onlineshop/platform/platformtest"
)

func TestConformance(t *testing.T) {
	ports := func(p *memory.Platform) platformtest.Ports {
		return platformtest.Ports{
			Log: p.Store, Cursors: p.Store, Rows: p.Store, Parking: p.Store, Rejections: p.Store, Schedules: p.Store, Keys: p.Store, Snapshots: p.Store,
			SeesGaps: true, Objects: p, Engine: p.Engine(), Settle: p.Settle,
		}
	}
	platformtest.Test(t, platformtest.NewWorld(), func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
		p, err := memory.New(plugins, nil)
		if err != nil {
			t.Fatal(err)
		}
		all := ports(p)
		all.Reopen = func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
			if err := p.Deploy(plugins, nil); err != nil {
				t.Fatal(err)
			}
			again := ports(p)
			again.Reopen = all.Reopen
			return again
		}
		return all
	})
}
