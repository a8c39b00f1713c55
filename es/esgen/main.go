// Command esgen writes what a plugin's folder leaves unsaid: each aggregate's
// and extension point's wire format and JSON Schemas, the wire form of read
// models' rows, and the plugin's composition. A plugin starts it in its doc.go:
//
//	//go:generate go run onlineshop/es/esgen
//
// It reads syntax only, so that it runs before the code compiles. Below the
// folder it finds
//
//   - aggregates: packages with the unions Command, Event and a State;
//   - extension points: packages directly below the plugin's with an Event that
//     is sealed by key() string, named after the package;
//   - read models, event mappings, publications, extensions and tasks: exported
//     variables of es.NewReadModel, es.NewMapping and so on, and exported
//     functions with such a result, whose parameters become fields of Deps.
//
// In an aggregate's package it looks for more that a command may say:
//
//	check(context.Context, es.Reader) error            a rule that reads other aggregates
//	owner(context.Context, es.Reader) (string, error)  who the aggregate will belong to; else the caller
//	allow() es.Access                                  who may send it; else as var access says
//
// and for the variables access (an es.Access, for all commands) and upcasters
// (an es.Upcasters[Event] literal). Package onlineshop/es describes the markers.
//
// A type's fields are in JSON what they are in Go, in lowerCamelCase, in the
// order of their declaration: ProductIDs is productIds. Mistakes are printed
// with file and line, all at once, and then nothing is written.
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
