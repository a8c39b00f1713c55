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
// A command without its rule does not compile. `go generate ./...` (package
// onlineshop/es/esgen) reads the folder and writes what is left: the package's
// Aggregate with its wire format and JSON Schemas, and the plugin's composition.
//
// `make plugin NAME=Inventory` and `make aggregate PLUGIN=Inventory NAME=StockItem` write
// a start that works. These are the parts, each an exported variable or function:
//
//	aggregate        a package with Command, Event and State: decides what happens
//	read model       [NewReadModel] and [From]: a row for each aggregate, for queries
//	event mapping    [NewMapping]: an event of one aggregate becomes commands for another
//	extension point  a package of events that other plugins may see; [Publish] fills it
//	extension        [NewExtension]: another plugin's published event becomes commands
//	side effect      [NewSideEffect]: does something in the world for an event
//	task             [Task]: hosts side effects, or works on files put into its bucket
//
// Who may send a command or read a row is an [Access]. A rule answers no by a
// [Rejection]: [NotFound], [Conflict] or [Invalid]. Tests use package
// onlineshop/es/estest: Given, When, Then.
//
// What Go cannot say is said in markers that the generator reads:
//
//	//es:plugin Catalog heartbeat=5m    in the doc comment of the plugin's package
//	//es:aggregate ProductDemand        on the unions; default: the package's name capitalized
//	//es:internal                       on the unions: no HTTP commands, only followers and tasks send
//	//es:inplace                        on the unions: evolve may change the state in place
//	//es:version 2                      on an event: the number of its present shape
//	//es:optional                       on a field: may be absent
//	//es:trim                           on a field: stored without surrounding white space
//	//es:len 1..200                     on a field: length in code points, or a list's in items
//	//es:min 1, //es:max 99.5           on a number or price: its bounds
//	//es:email                          on a field: a plausible e-mail address
//	//es:distinct                       on a list: repeats are dropped, the first is kept
//
// The package is pure: no database, no network, no clock. The engine
// (onlineshop/es/engine) runs what is declared here.
package es
