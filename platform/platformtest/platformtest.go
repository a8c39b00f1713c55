// Package platformtest is what every platform has to pass: each port alone, and
// the scenarios that its guarantees are about, through an engine that runs a
// [Library] on the platform.
package platformtest

import (
	"context"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// Ports is a platform under test. Tests share it, each with ids of its own.
type Ports struct {
	Log        engine.Log
	Cursors    engine.Cursors
	Rows       engine.Rows
	Parking    engine.Parking
	Rejections engine.Rejections
	Schedules  engine.Schedules
	Keys       engine.Keys
	Opened     bool             // Rows are an engine's, which opens what is sealed in them
	Snapshots  engine.Snapshots // nil: the platform keeps none
	// SeesGaps says that Append refuses a commit beyond the stream's end. A store
	// that can only tell whether a place is taken does not.
	SeesGaps bool
	// Objects are the buckets whose objects stay, as somebody else sees them; nil: the
	// platform under test has none.
	Objects Objects
	// Engine runs the plugins that the ports were opened with.
	Engine *engine.Engine
	// Reopen opens what is there with other plugins, as a later version of them does.
	// The ports before are not used any more.
	Reopen func(t *testing.T, plugins []es.Plugin) Ports
	// Settle waits until every commit has reached all that it concerns, but for
	// what is parked.
	Settle func(ctx context.Context) error
	// Slow says that Settle takes seconds: scenes run side by side, and wait together.
	Slow bool

	company *company // the scenes that run side by side
}

// test runs a test, beside others of the company where there is one.
func (p Ports) test(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		if p.company != nil {
			t.Parallel()
		}
		f(t)
	})
}

// scene runs a scene, beside others of the company where there is one.
func (p Ports) scene(t *testing.T, name string, f func(s scene)) {
	t.Run(name, func(t *testing.T) {
		if p.company != nil {
			p.company.join(t)
		}
		f(scene{t, p})
	})
}

// Objects puts objects into buckets, and takes them out, beside the shop.
type Objects interface {
	PutObject(ctx context.Context, bucket, key string, content []byte) error
	RemoveObject(ctx context.Context, bucket, key string) error
}

// Test runs the suite on a platform that open opens for the plugins of the world's
// library, and closes with t.Cleanup.
func Test(t *testing.T, w World, open func(t *testing.T, plugins []es.Plugin) Ports) {
	p := open(t, Library{World: w}.Plugins())
	t.Run("Log", func(t *testing.T) { testLog(t, p) })
	t.Run("Cursors", func(t *testing.T) { testCursors(t, p) })
	t.Run("Rows", func(t *testing.T) { testRows(t, p) })
	t.Run("Sorts", func(t *testing.T) { testSorts(t, p) })
	t.Run("Items", func(t *testing.T) { testItems(t, p) })
	t.Run("Parking", func(t *testing.T) { testParking(t, p) })
	t.Run("Rejections", func(t *testing.T) { testRejections(t, p) })
	t.Run("Schedules", func(t *testing.T) { testSchedules(t, p) })
	if p.Objects != nil {
		t.Run("Buckets", func(t *testing.T) { testBuckets(t, p) })
	}
	t.Run("Keys", func(t *testing.T) { testKeys(t, p) })
	if p.Snapshots != nil {
		t.Run("Snapshots", func(t *testing.T) { testSnapshots(t, p) })
	}
	t.Run("Scenes", func(t *testing.T) {
		p := p
		if p.Slow {
			p.company = newCompany(p.Settle)
		}
		p.test(t, "Scenarios", func(t *testing.T) { testScenarios(t, p, w) })
		p.scene(t, "Erasure", func(s scene) { testErasure(s, w) })
		p.test(t, "Parts", func(t *testing.T) { testParts(t, p) })
		p.test(t, "Rows below a stream", func(t *testing.T) { testItemScenarios(t, p) })
		p.scene(t, "a library with history", testHistory)
	})
	t.Run("what is new in a shop with history leaves that alone, but for what says otherwise", func(t *testing.T) { testStarts(t, p, w) })
}
