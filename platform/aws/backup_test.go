package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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

func TestARestoreThatWasKilledWhenAllWasThereIsOnlyOpened(t *testing.T) {
	atOnce(t)
	// Given a stack that a file was restored into, and whose functions were not started
	c, m := lent(t, platformtest.NewWorld())
	file := platformtest.BackUp(t, m.Backup)
	checked, err := portable.Check(t.Context(), file, scratch(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := newCloud(t, c.plugins).platform(c.plugins...)
	restorable := func(id string, want bool, problem string) {
		t.Helper()
		whole, err := p.Restorable(t.Context(), id)
		if whole != want || (err == nil) != (problem == "") || err != nil && (!errors.Is(err, ErrUnchanged) || !strings.Contains(err.Error(), problem)) {
			t.Errorf("whole: %t, %v; %t and %q were expected", whole, err, want, problem)
		}
	}
	restorable(checked.SHA256, false, "")
	platformtest.Restore(t, file, scratch(t), p.Restore())
	// When it is restored again, then it is known that all of it is there, and nothing is written
	restorable(checked.SHA256, true, "")
	restorable("another", false, "another file was being restored")
	if _, err := p.Restore().Begin(t.Context(), checked.SHA256); !errors.Is(err, ErrUnchanged) {
		t.Errorf("a second time: %v", err)
	}
	// When it was opened, then it is a shop as any other
	if err := p.Opened(t.Context()); err != nil {
		t.Fatal(err)
	}
	restorable(checked.SHA256, false, "not empty")
}

// lose deletes commits of a stream from its table, from one on.
func (c *cloud) lose(table string, s engine.Stream, from int64) {
	c.t.Helper()
	p := c.platform(c.plugins...)
	for seq := from; ; seq++ {
		i, err := p.store.get(c.t.Context(), &table, commitKey(s, seq))
		if err != nil {
			c.t.Fatal(err)
		}
		if i == nil {
			return
		}
		if _, err := p.store.db.DeleteItem(c.t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: commitKey(s, seq)}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// copyTable puts all items of a table into another.
func (c *cloud) copyTable(from, to string) {
	c.t.Helper()
	p := c.platform(c.plugins...)
	err := p.store.eachItem(c.t.Context(), &from, 0, 1, func(i item) error { return c.put(c.t.Context(), to, i) })
	if err != nil {
		c.t.Fatal(err)
	}
}

// lent is a library with loans, whose followers have done what they do.
func lent(t *testing.T, w platformtest.World) (*cloud, platformtest.Movable) {
	c := newCloud(t, platformtest.Library{World: w}.Plugins())
	m := c.movable(c.plugins)
	platformtest.Lend(t, m.Ports, "b", "otto", "nina")
	return c, m
}

func TestCommitsThatALogHasLostComeBackFromAnOldTable(t *testing.T) {
	atOnce(t)
	w := platformtest.NewWorld()
	// Given a library, a copy of whose tables is kept, and which has lost the end of a stream
	c, m := lent(t, w)
	before, _ := platformtest.Content(t, platformtest.BackUp(t, m.Backup))
	old := newCloud(t, c.plugins)
	events := c.wiring.Plugins["Lending"].Events
	copied := old.wiring.Plugins["Lending"].Events
	c.copyTable(events, copied)
	c.lose(events, engine.Stream{Aggregate: "Lending.Book", ID: "b"}, 1)
	// When it is refilled
	p := c.platform(c.plugins...)
	added, err := p.Refill(t.Context(), scratch(t), []OldTables{{Plugin: "Lending", Events: copied}}, func(int64) {})
	// Then all is there
	if err != nil || added != 2 {
		t.Fatalf("%d commits came back: %v", added, err)
	}
	after, _ := platformtest.Content(t, platformtest.BackUp(t, m.Backup))
	if d := cmp.Diff(before, after, cmpopts.SortSlices(func(a, b portable.Commit) bool {
		return fmt.Sprint(a.Stream, a.Seq) < fmt.Sprint(b.Stream, b.Seq)
	})); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
	// And a second time there is nothing to do
	if added, err := p.Refill(t.Context(), scratch(t), []OldTables{{Plugin: "Lending", Events: copied}}, func(int64) {}); err != nil || added != 0 {
		t.Errorf("%d commits came back again: %v", added, err)
	}
}

func TestARefillOfTwoHistoriesOrWithAGapChangesNothing(t *testing.T) {
	atOnce(t)
	w := platformtest.NewWorld()
	// Given a library that has lost the end of a stream
	c, _ := lent(t, w)
	events, st := c.wiring.Plugins["Lending"].Events, engine.Stream{Aggregate: "Lending.Book", ID: "b"}
	forked, short := newCloud(t, c.plugins).wiring.Plugins["Lending"].Events, newCloud(t, c.plugins).wiring.Plugins["Lending"].Events
	c.copyTable(events, forked)
	c.copyTable(events, short)
	c.lose(events, st, 1)
	// And of its old tables one lacks a commit in the middle
	p := c.platform(c.plugins...)
	if _, err := p.store.db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &short, Key: commitKey(st, 1)}); err != nil {
		t.Fatal(err)
	}
	refill := func(table, want string) {
		t.Helper()
		added, err := p.Refill(t.Context(), scratch(t), []OldTables{{Plugin: "Lending", Events: table}}, func(int64) {})
		if added != 0 || !errors.Is(err, ErrUnchanged) || !strings.Contains(err.Error(), want) {
			t.Errorf("%d commits came back: %v; %q was expected", added, err, want)
		}
	}
	// When it is refilled from that one, then it is refused
	refill(short, "would have a gap")
	// When somebody has written in the place of what is lost, and it is refilled from the other
	m := c.movable(c.plugins)
	platformtest.LendAgain(t, m.Ports, "b", "zoe")
	// Then it is refused, too
	refill(forked, "two histories")
}

func TestAFreshStackIsFilledFromOldTables(t *testing.T) {
	atOnce(t)
	w := platformtest.NewWorld()
	// Given a library whose stack is gone, and whose tables are there
	c, m := lent(t, w)
	before, _ := platformtest.Content(t, platformtest.BackUp(t, m.Backup))
	congratulated := w.Congratulations("b")
	var old []OldTables
	for name, x := range c.wiring.Plugins {
		old = append(old, OldTables{Plugin: name, Events: x.Events, Cursors: x.Cursors, Keys: x.Keys})
	}
	fresh := newCloud(t, c.plugins)
	for _, x := range c.plugins {
		if _, err := fresh.platforms[x.Name].tick(t.Context(), x.Name); err != nil {
			t.Fatal(err)
		}
	}
	p := fresh.platform(c.plugins...)
	// When a fresh one is filled from logs alone, then it is refused
	if _, err := p.Refill(t.Context(), scratch(t), []OldTables{{Plugin: old[0].Plugin, Events: old[0].Events}}, func(int64) {}); !errors.Is(err, ErrUnchanged) {
		t.Errorf("without cursors: %v", err)
	}
	// When it is filled from all of them
	added, err := p.Refill(t.Context(), scratch(t), old, func(int64) {})
	if err != nil || added != int64(len(before)) {
		t.Fatalf("%d of %d commits came back: %v", added, len(before), err)
	}
	fresh.deploy(c.plugins)
	there := fresh.movable(c.plugins)
	platformtest.Steps(t, "sweep", func(cursor string) (engine.Progress, error) { return there.Engine.Sweep(t.Context(), cursor) })
	if err := there.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Then the log is what it was, and nobody is told again
	after, _ := platformtest.Content(t, platformtest.BackUp(t, there.Backup))
	if len(after) != len(before) {
		t.Errorf("there are %d commits, and were %d", len(after), len(before))
	}
	if d := cmp.Diff(congratulated, w.Congratulations("b")); d != "" || len(congratulated) != 2 {
		t.Errorf("congratulations (-before +after):\n%s", d)
	}
}
