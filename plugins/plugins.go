// Package plugins lists the shop's plugins.
package plugins

import (
	"onlineshop/es"
	"onlineshop/plugins/catalog"
	"onlineshop/plugins/ordering"
)

// Deps are what the plugins ask of the platform that they run on.
type Deps struct {
	Catalog  catalog.Deps
	Ordering ordering.Deps
}

// All plugins of the shop.
func All(d Deps) []es.Plugin {
	return []es.Plugin{catalog.Plugin(d.Catalog), ordering.Plugin(d.Ordering)}
}
