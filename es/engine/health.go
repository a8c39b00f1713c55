package engine

import (
	"context"
	"io"
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
