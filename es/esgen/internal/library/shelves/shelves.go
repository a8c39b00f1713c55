// Package shelves is where books stand; other packages' types are made of its.
package shelves

// Room is a room with shelves.
type Room string

// Rooms of the library.
const (
	ReadingRoom Room = "reading-room"
	Cellar           = Room("cellar")
)

// Shelf is a place in a room.
type Shelf struct {
	Room Room
	Row  int8 // counted from the door
}
