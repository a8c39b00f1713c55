package engine

import (
	"context"
	"io"
	"strings"
	"time"
)

// Health is what a platform knows about itself.
type Health struct {
	Status  string         `json:"status"` // ok, or degraded: a plugin is disconnected or something is parked
	Version string         `json:"version"`
	Plugins []PluginHealth `json:"plugins"`
}

// PluginHealth is one plugin's part.
type PluginHealth struct {
	Name          string           `json:"name"`
	Connected     bool             `json:"connected"` // missed fewer than three heartbeats
	LastHeartbeat time.Time        `json:"lastHeartbeat"`
	Consumers     []ConsumerHealth `json:"consumers"`
}

// ConsumerHealth is one follower's or read model's part.
type ConsumerHealth struct {
	Name       string  `json:"name"`       // e.g. "mapping:Ordering.AutoShip"
	LagSeconds float64 `json:"lagSeconds"` // age of the oldest commit that it has not seen
	Parked     int     `json:"parked"`     // keys
}

// Health puts together what a platform has found out: when each plugin last
// reported itself, and how a consumer is behind and parked.
func (e *Engine) Health(version string, now time.Time, heard map[string]time.Time, look func(consumer string) (lag time.Duration, parked int)) Health {
	h := Health{Status: "ok", Version: version}
	for _, x := range e.Plugins {
		last := heard[x.Name]
		p := PluginHealth{
			Name: x.Name, LastHeartbeat: last, Consumers: []ConsumerHealth{},
			Connected: x.HeartbeatInterval <= 0 || now.Sub(last) < 3*x.HeartbeatInterval,
		}
		if !p.Connected {
			h.Status = "degraded"
		}
		for _, name := range e.Followers() {
			if _, rest, _ := strings.Cut(name, ":"); !strings.HasPrefix(rest, x.Name+".") {
				continue
			}
			lag, parked := look(name)
			if parked > 0 {
				h.Status = "degraded"
			}
			p.Consumers = append(p.Consumers, ConsumerHealth{Name: name, LagSeconds: lag.Seconds(), Parked: parked})
		}
		h.Plugins = append(h.Plugins, p)
	}
	return h
}

// Report is a task's stored report: its content, or where it can be fetched.
type Report struct {
	Body io.ReadCloser // text/csv; nil where there is a URL
	URL  string        // presigned
}

// Reports reads what tasks wrote with WriteReport.
type Reports interface {
	// Report returns [ErrNotFound] while there is none. task is the full name, e.g.
	// "Catalog.ImportProducts".
	Report(ctx context.Context, task, key string) (Report, error)
}
