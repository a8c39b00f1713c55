// Package book is a book of the library.
package book

import (
	"time"

	"onlineshop/es"
	"onlineshop/es/esgen/internal/library/shelves"
)

// Imprint is who published a book; it is embedded.
type Imprint struct {
	Publisher string //es:trim //es:len 1..50
	Year      uint16 //es:optional //es:min 1450 //es:title Published in
}

// Chapter is a part of a book.
type Chapter struct {
	Title string //es:trim //es:len 1..
	Pages int    //es:min -1
}

// Tags are words to find a book by.
type Tags []string

// Details are what a book is registered with.
type Details struct {
	// Title is how it is listed.
	Title string //es:trim //es:len 1..20
	Imprint
	Shelf      shelves.Shelf
	Spare      shelves.Shelf //es:optional
	Chapters   []Chapter     //es:len 1..3
	Tags       Tags          //es:optional //es:distinct //es:len 0..2
	Rooms      []shelves.Room
	Contact    string  //es:optional //es:email
	UIBundleID string  // "as in the manifest", with a `backquote`
	Weight     float32 //es:min 0 //es:max 99.5
	Lent       bool
	Price      es.Price //es:optional //es:min 0.5 //es:max 1000
	BoughtAt   time.Time
	SoldAt     time.Time //es:optional
	Grid       [][]int64
}

type (
	// Register puts a book on its shelf.
	Register Details

	// Move puts it elsewhere.
	//
	//es:internal
	Move struct{ Shelf shelves.Shelf }

	// Retire takes it away. Nobody can borrow it then.
	//
	//es:destructive
	Retire struct{}
)

type (
	// Registered says that a book can be read.
	Registered Details

	// Moved says where it stands now. It once named the row alone.
	//
	//es:version 2
	Moved Move

	// Retired says that it is gone.
	Retired struct{}
)

// A Command is decided.
//
//es:aggregate PrintedBook
type Command interface{ decide(State) ([]Event, error) }

// An Event is folded.
//
//es:inplace
type Event interface{ evolve(State) State }

// State is the zero value until the book is registered.
type State struct {
	Registered bool
	Shelf      shelves.Shelf
}
