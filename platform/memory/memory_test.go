package memory_test

import (
	"testing"

	"onlineshop/es"
	"onlineshop/platform/memory"
	"onlineshop/platform/platformtest"
	"onlineshop/platform/portable"
)

func ports(p *memory.Platform) platformtest.Ports {
	return platformtest.Ports{
		Log: p.Store, Cursors: p.Store, Rows: p.Store, Parking: p.Store, Rejections: p.Store, Schedules: p.Store, Keys: p.Store, Snapshots: p.Store,
		SeesGaps: true, Objects: p, Engine: p.Engine(), Settle: p.Settle,
	}
}

func TestConformance(t *testing.T) { conformance(t, ports) }

func TestConformanceSideBySide(t *testing.T) {
	conformance(t, func(p *memory.Platform) platformtest.Ports {
		all := ports(p)
		all.Slow = true
		return all
	})
}

func conformance(t *testing.T, ports func(*memory.Platform) platformtest.Ports) {
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

func TestAShopMovesToAnotherStore(t *testing.T) {
	movable := func(p *memory.Platform) platformtest.Movable {
		m := platformtest.Movable{Ports: ports(p), Backup: p.Backup}
		m.Reopen = func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
			if err := p.Deploy(plugins, nil); err != nil {
				t.Fatal(err)
			}
			return ports(p)
		}
		return m
	}
	var clock *memory.Clock
	platformtest.Move(t, platformtest.NewWorld(), func(t *testing.T, plugins []es.Plugin) platformtest.Movable {
		p, err := memory.New(plugins, nil)
		if err != nil {
			t.Fatal(err)
		}
		clock = p.Clock
		return movable(p)
	}, func(t *testing.T, plugins []es.Plugin, file portable.File) platformtest.Movable {
		p, err := memory.New(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.Clock = clock // whose ids are made once
		platformtest.Restore(t, file, memory.Scratch{}, memory.NewRestoring(p.Store))
		if err := p.Deploy(plugins, nil); err != nil {
			t.Fatal(err)
		}
		for cursor, more := "", true; more; more = cursor != "" { // as a stack that is opened again
			progress, err := p.Engine().Sweep(t.Context(), cursor)
			if err != nil {
				t.Fatal(err)
			}
			cursor = progress.Next
		}
		return movable(p)
	})
}
