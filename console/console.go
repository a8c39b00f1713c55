// Package console holds the console's built pages. What they are made of is beside it;
// make console builds them.
package console

import (
	"embed"
	"io/fs"
	"os"

	"onlineshop/es/naming"
)

//go:embed all:dist
var dist embed.FS

// Files returns the built pages, with index.html at the top. Until they are built there
// is no index.html.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is valid
	}
	return files
}

// BundleURL returns where a plugin's part of the page is: at the operator's address, or
// relative to the page, where the console has a bundle for it; "" if there is none.
func BundleURL(plugin string) string {
	if url := os.Getenv(naming.UIBundleVariable(plugin)); url != "" {
		return url
	}
	name := "bundles/" + naming.PathSegment(plugin) + ".js"
	if _, err := fs.Stat(Files(), name); err != nil {
		return ""
	}
	return name
}
