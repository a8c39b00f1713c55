//go:build library

package main

import (
	"os"

	"onlineshop/es"
	"onlineshop/platform/platformtest"
)

// deployed are the plugins of the suite that every platform passes, in a test's
// deployment of theirs. Their functions are built apart from the shop's.
func deployed(s *settings) []es.Plugin {
	s.bundles = os.Getenv("LIBRARY_BUNDLES")
	return platformtest.Library{}.Plugins()
}

// environment tells the functions where the test's world is.
func environment(func(name, fallback string) string) (map[string]string, error) {
	return map[string]string{platformtest.WorldVariable: os.Getenv(platformtest.WorldVariable)}, nil
}
