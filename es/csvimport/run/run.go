// Package run is the import of an uploaded file, the id being the file's key: how far it
// was read, and what became of its rows. Each commit is a checkpoint that the import
// resumes from. Each task of package csvimport has an aggregate and a view of its own
// made of it.
//
//es:shared
package run

//go:generate go run onlineshop/es/esgen

import "onlineshop/es"

// Commands of an import. Upload says which upload of the file they are for; it
// compares greater than that of every earlier one.
type (
	// Start starts a run, unless one of this or a later upload was started before.
	Start struct {
		ETag, Upload string
		Size         int64 // bytes
	}
	// Progress moves the checkpoint on from a byte offset, if it still is there.
	Progress struct {
		Upload string
		From   int64
		To     Progressed
	}
	// Finish ends the run: every row was read.
	Finish struct{ Upload string }
	// Reject ends the run: the file can't be imported.
	Reject struct{ Upload, Reason string }
)

// Events of an import.
type (
	Started Start
	// Progressed is a checkpoint. Its counts are of the whole run so far, its
	// rejections those since the checkpoint before: at most 500.
	Progressed struct {
		Offset                           int64 // byte that reading continues at
		Line                             int64 // physical line that starts there, from 1
		Rows, Added, Unchanged, Rejected int
		Rejections                       []Rejection
		// Note is what a person should know of how the file is read; with the first
		// checkpoint of a run.
		Note string //es:optional
	}
	Finished struct{}
	Rejected struct{ Reason string }
)

// Rejection is a row that was not imported.
type Rejection struct {
	Line   int64  // physical line of its first character, from 1
	Code   string // e.g. "InvalidPrice"
	Reason string // for people
}

// ErrMovedOn is the answer to a runner that another one has overtaken.
var ErrMovedOn = es.Conflict("ImportMovedOn")

// A Command is decided, an Event is folded.
//
//es:aggregate Run
//es:internal
type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

// State is the latest run; the zero value before the first.
type State struct {
	Upload  string
	Running bool
	Done    Progressed // without the rejections
}

// Runs reports whether the run of that upload is under way.
func (s State) Runs(upload string) bool { return s.Running && s.Upload == upload }

func (e Started) evolve(State) State      { return State{e.Upload, true, Progressed{Line: 1}} }
func (e Progressed) evolve(s State) State { e.Rejections = nil; s.Done = e; return s }
func (Finished) evolve(s State) State     { s.Running = false; return s }
func (Rejected) evolve(s State) State     { s.Running = false; return s }

func (c Start) decide(s State) ([]Event, error) {
	switch {
	case s.Done.Line > 0 && c.Upload <= s.Upload:
		return nil, nil
	case s.Running:
		return []Event{Rejected{"replaced by a newer upload"}, Started(c)}, nil
	}
	return []Event{Started(c)}, nil
}

func (c Progress) decide(s State) ([]Event, error) {
	if !s.Runs(c.Upload) || c.From != s.Done.Offset {
		return nil, ErrMovedOn
	}
	return []Event{c.To}, nil
}

func (c Finish) decide(s State) ([]Event, error) { return s.end(c.Upload, Finished{}) }
func (c Reject) decide(s State) ([]Event, error) { return s.end(c.Upload, Rejected{c.Reason}) }

// end is e, or nothing where the run has ended already.
func (s State) end(upload string, e Event) ([]Event, error) {
	if !s.Runs(upload) {
		return nil, nil
	}
	return []Event{e}, nil
}
