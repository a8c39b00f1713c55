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
//     is sealed by key() string, and perhaps a Command that is sealed by to() string:
//     what other plugins may ask. They are named after the package;
//   - read models, event mappings, publications, extensions and tasks: exported
//     variables of es.NewReadModel, es.NewMapping and so on, and exported
//     functions with such a result, whose parameters become fields of Deps;
//   - imports: exported variables of csvimport.New, which are a task, an aggregate and a
//     read model.
//
// In an aggregate's package it looks for more that a command may say:
//
//	check(context.Context, es.Reader) error            a rule that reads other aggregates; an es.Meta may follow
//	owner(context.Context, es.Reader) (string, error)  who the aggregate will belong to; else the caller
//	allow() es.Access                                  who may send it; else as var access says
//
// and for the variables access (an es.Access, for all commands) and upcasters
// (an es.Upcasters[Event] literal). Package onlineshop/es describes the markers.
//
// A type's fields are in JSON what they are in Go, in lowerCamelCase, in the
// order of their declaration: ProductIDs is productIds. Mistakes are printed
// with file and line, all at once, and then nothing is written.
//
// An aggregate whose package's doc comment says //es:shared belongs to no plugin: it gets a
// NewAggregate, for many to make one of it.
//
// In a folder of plugins, whose doc comment says //es:plugins, it writes the list of
// those below, and what they ask for together.
//
// With arguments it writes the start of something new, for make plugin and so on.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"onlineshop/es/esgen/internal/generate"
	"onlineshop/es/esgen/internal/scaffold"
)

type program struct {
	Generate  generateCommand  `cmd:"" default:"1" help:"Write the generated code of the plugin in this folder."`
	Plugin    pluginCommand    `cmd:"" help:"Write the start of a plugin."`
	Aggregate aggregateCommand `cmd:"" help:"Write the start of an aggregate."`
	View      viewCommand      `cmd:"" help:"Write the start of a view of an aggregate."`
	Task      taskCommand      `cmd:"" help:"Write the start of a task with a bucket."`
}

type generateCommand struct{}

func (generateCommand) Run() error { return generate.Plugin(".") }

type pluginCommand struct {
	Name string `arg:"" help:"E.g. Inventory."`
}

func (c pluginCommand) Run() error { return wrote(scaffold.Plugin(".", c.Name)) }

type aggregateCommand struct {
	Plugin string `arg:"" help:"E.g. Inventory."`
	Name   string `arg:"" help:"E.g. StockItem."`
}

func (c aggregateCommand) Run() error { return wrote(scaffold.Aggregate(".", c.Plugin, c.Name)) }

type viewCommand struct {
	Plugin    string `arg:"" help:"E.g. Inventory."`
	Aggregate string `arg:"" help:"E.g. StockItem."`
	Name      string `arg:"" help:"E.g. StockItems."`
}

func (c viewCommand) Run() error { return wrote(scaffold.View(".", c.Plugin, c.Aggregate, c.Name)) }

type taskCommand struct {
	Plugin string `arg:"" help:"E.g. Inventory."`
	Name   string `arg:"" help:"E.g. ImportCounts."`
	Into   string `arg:"" optional:"" help:"The aggregate that rows of CSV files are commands for, e.g. StockItem; without it the task does with files what you write."`
}

func (c taskCommand) Run() error {
	if c.Into != "" {
		return wrote(scaffold.Import(".", c.Plugin, c.Name, c.Into))
	}
	return wrote(scaffold.Task(".", c.Plugin, c.Name))
}

func wrote(files []string, err error) error {
	for _, f := range files {
		fmt.Println("wrote", f)
	}
	return err
}

func main() {
	ctx := kong.Parse(&program{}, kong.Description("Writes what a plugin's folder leaves unsaid."))
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
