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
	if err != nil || d < 0 {
		return nil, fmt.Errorf("-c shipDelay=%s is not a duration of at least 0s, such as 240h", text)
	}
	return map[string]string{plugins.ShipDelayVariable: d.String()}, nil
}
