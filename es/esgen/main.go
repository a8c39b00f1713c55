// Command esgen writes what a plugin's folder leaves unsaid: each aggregate's
// and extension point's wire format and JSON Schemas, the wire form of read
// models' rows, and the plugin's composition. A plugin starts it in its doc.go:
//
//	//go:generate go run onlineshop/es/esgen
//
// It reads syntax only, so that it runs before the code compiles. What it looks
// for, and the markers it knows, are described in package onlineshop/es.
package main

import (
	"fmt"
	"os"

	"onlineshop/es/esgen/internal/generate"
)

func main() {
	if err := generate.Plugin("."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
