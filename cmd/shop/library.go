//go:build library

package main

import (
	"onlineshop/es"
	"onlineshop/platform/local"
	"onlineshop/platform/platformtest"
)

const (
	title   = "Library"
	hasDemo = false
)

// plugins are those of the suite that every platform passes: for the page's tests, which
// has never seen them.
func (serveCommand) plugins(*local.Outbox) []es.Plugin {
	return platformtest.Library{World: platformtest.NewWorld()}.Plugins()
}
