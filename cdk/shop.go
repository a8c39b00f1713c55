//go:build !library

package main

import (
	"fmt"
	"time"

	"onlineshop/es"
	"onlineshop/plugins"
)

// deployed are the plugins that the stack runs.
func deployed(*settings) []es.Plugin { return plugins.All(plugins.NoDeps{}) }

// environment are the plugins' own settings, as the functions' variables.
func environment(setting func(name, fallback string) string) (map[string]string, error) {
	text := setting("shipDelay", "0s")
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > es.MaxDelay {
		return nil, fmt.Errorf("-c shipDelay=%s is not a duration between 0s and %s, such as 10m", text, es.MaxDelay)
	}
	return map[string]string{plugins.ShipDelayVariable: d.String()}, nil
}
