package engine

import (
	"context"
	"io"
	"time"
)

// Metrics that [Config].Count is called with.
const (
	SideEffectFailed = "SideEffectFailed"
	TaskFailed       = "TaskFailed"
	CommandRejected  = "CommandRejected" // a follower's
	ClockBehind      = "ClockBehind"     // a commit is from the future
	StreamDamaged    = "StreamDamaged"   // see [ErrBroken]
)

// Health is the state of a shop.
type Health struct {
	Status   string         `json:"status"` // ok, or degraded: there is a problem, a plugin is disconnected or something is parked
	Version  string         `json:"version"`
	Problems []Problem      `json:"problems,omitempty"`
	Plugins  []PluginHealth `json:"plugins"`
}

// Problem is something that is wrong right now with what the platform depends on: its
// database, a watched folder, a clock. It disappears once it is fixed.
type Problem struct {
	Component string    `json:"component"` // e.g. "database", "folder product-imports"
	Detail    string    `json:"detail"`    // what is wrong, and what to do about it
	Since     time.Time `json:"since"`
}

// PluginHealth is the state of one plugin.
type PluginHealth struct {
	Name          string           `json:"name"`
	Connected     bool             `json:"connected"` // missed fewer than three heartbeats
	LastHeartbeat time.Time        `json:"lastHeartbeat"`
	Consumers     []ConsumerHealth `json:"consumers"`
}

// ConsumerHealth is the state of one follower, read model or task.
type ConsumerHealth struct {
	Name       string  `json:"name"`               // e.g. "mapping:Ordering.AutoShip", "task:Catalog.ImportProducts"
	LagSeconds float64 `json:"lagSeconds"`         // age of the oldest commit that it has not seen
	Parked     int     `json:"parked"`             // keys
	Failed     int     `json:"failed,omitempty"`   // a side effect's or task's runs that failed in the latest 24 hours
	Rejected   int     `json:"rejected,omitempty"` // a follower's commands that were refused, or skipped, in the latest 24 hours

	Stale    bool      `json:"stale,omitempty"`    // a read model's rows are being folded by new code
	Refolded *Refolded `json:"refolded,omitempty"` // how far that is
}

// Refolded says how far the refolding of a read model is.
type Refolded struct {
	Done int `json:"done"`         // streams
	Of   int `json:"of,omitempty"` // so many; 0: they have not been counted
}

// Health combines what a platform has found out: the problems, the time of each plugin's
// last heartbeat, and, by calling look, what it knows of each consumer.
func (e *Engine) Health(version string, now time.Time, problems []Problem, heard map[string]time.Time, look func(*ConsumerHealth)) Health {
	h := Health{Status: "ok", Version: version, Problems: problems}
	if len(problems) > 0 {
		h.Status = "degraded"
	}
	consumers := append(e.Consumers(), e.Tasks()...)
	for _, x := range e.Plugins {
		last := heard[x.Name]
		p := PluginHealth{
			Name: x.Name, LastHeartbeat: last, Consumers: []ConsumerHealth{},
			Connected: x.HeartbeatInterval <= 0 || now.Sub(last) < 3*x.HeartbeatInterval,
		}
		if !p.Connected {
			h.Status = "degraded"
		}
		for _, name := range consumers {
			if ParseConsumer(name).Plugin() != x.Name {
				continue
			}
			c := ConsumerHealth{Name: name}
			look(&c)
			if c.Parked > 0 {
				h.Status = "degraded"
			}
			p.Consumers = append(p.Consumers, c)
		}
		h.Plugins = append(h.Plugins, p)
	}
	return h
}

// Report is a task's stored report: its content, or the URL to fetch it from. The caller
// closes Body.
type Report struct {
	Body io.ReadCloser // text/csv; nil where there is a URL
	URL  string        // presigned
}

// Upload says where a client sends an object of a task, by itself.
type Upload struct {
	Method  string
	URL     string            // empty: to the shop's own API, which hands it to [Uploads]
	Header  map[string]string // to be sent with it
	Expires time.Time
}

// Uploads takes in objects of tasks. Safe for concurrent use.
type Uploads interface {
	// Upload says where to send an object of that key and size. task is the full name,
	// e.g. "Catalog.ImportProducts".
	Upload(ctx context.Context, task, key string, size int64) (Upload, error)
	// Receive takes an object that was sent to the shop's own API, whole or not at all.
	Receive(ctx context.Context, task, key string, body io.Reader) error
}

// Reports reads what tasks wrote with WriteReport. Safe for concurrent use.
type Reports interface {
	// Report returns the report of an object, or [ErrNotFound] if there is none. task is
	// the full name, e.g. "Catalog.ImportProducts".
	Report(ctx context.Context, task, key string) (Report, error)
}
