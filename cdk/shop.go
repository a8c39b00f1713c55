//go:build !library

package main

import (
	"onlineshop/es"
	"onlineshop/plugins"
)

// deployed are the plugins that the stack runs.
func deployed(*settings) []es.Plugin { return plugins.All(plugins.Deps{}) }
