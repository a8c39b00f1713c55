// Package es is what a plugin author uses: aggregates, read models, event
// mappings, extension points, extensions, side effects and tasks.
//
// A plugin is a folder. Each of its aggregates is a package that declares
// commands, events and errors as plain Go types and seals the two unions with
// the rule each member must have:
//
//	type (
//		Command interface{ decide(State) ([]Event, error) }
//		Event   interface{ evolve(State) State }
//	)
//
// A command without its rule does not compile. Rules that ask who sends a command, or
// when, are decide(State, Meta) ([]Event, error), all of a package's alike. `go generate
// ./...` (package onlineshop/es/esgen) reads the folder and writes what is left: the
// package's Aggregate with its wire format and JSON Schemas, and the plugin's composition.
//
// `make plugin NAME=Inventory` and `make aggregate PLUGIN=Inventory NAME=StockItem` write
// a start that works. These are the parts, each an exported variable or function:
//
//	aggregate        a package with Command, Event and State: decides what happens
//	read model       [NewReadModel] and [From]: a row for each aggregate, for queries,
//	                 which By, Sort and Search say more of; or [ItemsFrom]: several
//	                 for each; or [PartsFrom]: one for each key, of parts of many
//	event mapping    [NewMapping]: an event of one aggregate becomes commands for another
//	extension point  a package of events that other plugins may see; [Publish] fills it
//	extension        [NewExtension]: another plugin's published event becomes commands
//	request          a command in such a package; [Ask] sends it, and [Accept] takes it
//	reaction         [React]: what follows where such a command is refused
//	side effect      [NewSideEffect]: does something in the world for an event, and
//	                 [NewBoundarySideEffect] for what another plugin publishes
//	task             [Task]: hosts side effects, or works on files put into its bucket, on
//	                 what changes in its others, or by the clock
//	CSV import       package csvimport: a task that sends a command for each row of a file
//
// Side effects and tasks read what they need: an aggregate's State, and what they declare
// by Reads: rows of the plugin's read models (Get, and List with a [Query]), and an
// aggregate's IDs.
//
// All that listens to events takes a [Recorded]: the event, or any of the union, with who
// caused it and when.
//
// Who may send a command or read a row is an [Access]. A rule answers no by a
// [Rejection]: [NotFound] or [Conflict]. What markers say of fields is checked before, and
// answered as invalid (422). Tests use package onlineshop/es/estest: Given, When, Then.
//
// Fields of commands, events and rows are text, booleans, numbers, [Price], [time.Time],
// types made of these, structs of this module, and slices of all of them; a type of text
// that has constants is one of those. There are no maps: use a slice of a struct that holds
// key and value. A State is plain Go, and may have what it likes.
//
// What Go cannot say is said in markers that the generator reads:
//
//	//es:plugin Catalog heartbeat=5m    in the doc comment of the plugin's package
//	//es:aggregate ProductDemand        on the unions; default: the package's name capitalized
//	//es:internal                       on a command, or on the unions for all of them: none over HTTP,
//	                                    only followers and tasks send
//	//es:inplace                        on the unions: evolve may change the state in place
//	//es:version 2                      on an event, or a request: the number of its present shape
//	//es:erases                         on an event: after it what is personal is gone (docs/erasure.md)
//	//es:personal                       on a field: it is about the subject of its stream, and is stored encrypted
//	//es:optional                       on a field: may be absent
//	//es:trim                           on a field: stored without surrounding white space
//	//es:len 1..200                     on a field: length in code points, or a list's in items
//	//es:min 1, //es:max 99.5           on a number or price: its bounds
//	//es:email                          on a field: a plausible e-mail address
//	//es:distinct                       on a list: repeats are dropped, the first is kept
//
// These are for the page for people (docs/console.md), which can't guess them:
//
//	//es:ref Catalog.Categories         on a field: its ids are those of that read model's rows
//	//es:title Bytes read               on a field: what to call it; default: its name, in words
//	//es:label                          on a row's text: what the row is called; default: the first text
//	                                    that is always there, no reference and no choice
//	//es:destructive                    on a command: it ends something for good
//	//es:creates                        on a command: it makes the aggregate, although its rule rejects
//	                                    a command without values; others are tried out
//
// The package is pure: no database, no network, no clock. The engine
// (onlineshop/es/engine) runs what is declared here.
package es
