package es

import (
	"context"
	"errors"
	"io"
	"time"
)

// SideEffect is imperative work set off by an aggregate's events: an e-mail, a
// call. Fire-and-forget: an error is logged and counted, never retried. It passes
// over commits older than 24 hours, and, where it is new in a shop with history,
// over those before, unless FromBeginning or Since says otherwise.
type SideEffect struct {
	name, source string
	start        Start
	concerns     func(e any) bool
	run          func(context.Context, Reader, Recorded[any]) error
}

// NewSideEffect declares a side effect of source's events of type T: one event,
// or the whole union.
func NewSideEffect[C, E, S, T any](name string, source Aggregate[C, E, S], run func(ctx context.Context, r Reader, e Recorded[T]) error) SideEffect {
	return SideEffect{
		name: name, source: source.rules.Name, start: Start{New: true},
		concerns: func(e any) bool { _, ok := e.(T); return ok },
		run: func(ctx context.Context, r Reader, e Recorded[any]) error {
			return run(ctx, r, Recorded[T]{e.ID, e.Event.(T), e.Version, e.Time, e.Meta})
		},
	}
}

// FromBeginning lets a new side effect act on a shop's history, as far as that is
// of the latest 24 hours.
func (s SideEffect) FromBeginning() SideEffect { s.start = Start{}; return s }

// Since lets a new side effect act on what was committed from that time on, as
// far as that is of the latest 24 hours.
func (s SideEffect) Since(t time.Time) SideEffect { s.start = Start{Since: t}; return s }

// Name is the plugin's own name, e.g. "SendOrderConfirmation".
func (s SideEffect) Name() string { return s.name }

// Run is the effect's function; for tests.
func (s SideEffect) Run(ctx context.Context, r Reader, e Recorded[any]) error {
	return s.run(ctx, r, e)
}

// SideEffectDefinition is the erased form that the engine runs.
type SideEffectDefinition struct {
	Name, Source string
	Start        Start
	Concerns     func(e any) bool
	Run          func(context.Context, Reader, Recorded[any]) error
}

// Definition is for the engine.
func (s SideEffect) Definition() SideEffectDefinition {
	return SideEffectDefinition{s.name, s.source, s.start, s.concerns, s.run}
}

// Task is work set off by objects in a bucket, and the host of side effects.
type Task struct {
	Name string
	// Bucket whose new objects set off OnObject; empty: none.
	Bucket string
	// OnObject handles one object. It may be called again for the same object at
	// any time, also while an earlier call still runs elsewhere, and goes on from
	// what it has recorded. nil: the object is done with. [ErrUnfinished]: call
	// again. Any other error: the platform calls again later.
	OnObject func(ctx context.Context, o Object, s Shop) error
	// Check says what OnObject would make of an object. What it executes is decided,
	// each command on what those before it decided, and nothing is appended or
	// written. nil: there is no telling.
	Check func(ctx context.Context, o Object, s Shop) (Check, error)
	// Reports is the read model whose rows the object's reports belong to; nil
	// where the task writes none. A report's id is the object's key, and it is there
	// as long as its row has a field "report".
	Reports     AnyReadModel
	SideEffects []SideEffect
	// Sends are the aggregates that OnObject's commands are for, of its own plugin;
	// the engine refuses commands for others. nil: any of the plugin's.
	Sends []AnyAggregate
}

// Check is what a task would make of an object.
type Check struct {
	Refused string // why the object as a whole is refused; empty: it is not
	Note    string // what a person should know of how it was read; may be empty
	Rows    []CheckedRow
}

// Outcomes of rows that a task would not reject.
const (
	RowAdded     = "added"
	RowUnchanged = "unchanged"
)

// CheckedRow is what a task would make of one row of an object.
type CheckedRow struct {
	Line    int64  // physical line of its first character, from 1
	Outcome string // [RowAdded], [RowUnchanged], or the code of why it is rejected
	Reason  string // for people; empty where it is not rejected
}

// ErrUnfinished is a task's answer when it stopped at a checkpoint because
// [Shop].Stopping said so.
var ErrUnfinished = errors.New("unfinished: to be called again")

// ErrObjectGone is the answer of [Object].Open where the object is no longer
// there, or no longer the one that was announced.
var ErrObjectGone = errors.New("the object is no longer there")

// ErrUnreadable is the answer of [Object].Open where the object is there and can't
// be read, and could not for a while. What it wraps says why.
var ErrUnreadable = errors.New("the object can't be read")

// Object is something put into a bucket.
type Object struct {
	Key    string
	ETag   string
	Upload string // orders the uploads of one key: a later one compares greater
	Size   int64  // bytes
	// Charset is how its text is encoded, as the uploader says, e.g. "windows-1252";
	// empty: nobody says.
	Charset string
	// Open reads the object from that byte on, pinned to ETag.
	Open func(ctx context.Context, offset int64) (io.ReadCloser, error)
	// WriteReport stores a text/csv report for the object, replacing an earlier one.
	WriteReport func(ctx context.Context, write func(io.Writer) error) error
}

// Shop is what a task works with.
type Shop interface {
	Reader
	// Execute runs commands: those for one aggregate in the order given, others
	// side by side. Each takes effect once per message id, which is the same when
	// the work is done again. The outcome of commands[i] is outcomes[i].
	Execute(ctx context.Context, commands ...TaskCommand) []Outcome
	// Stopping says that the platform wants the task to return [ErrUnfinished] at
	// its next checkpoint.
	Stopping() bool
}

// TaskCommand is a command with what makes it take effect once.
type TaskCommand struct {
	Command
	MessageID     string // empty: a new one, so that the command is judged each time it is sent
	CorrelationID string
}

// Outcome is what became of a command.
type Outcome struct {
	Version int64    // the aggregate's, after the command
	Events  []string // names of what was decided; none: nothing to change
	Err     error    // *Rejection where the domain says no
}

// Plugin is a plugin's composition. The generator writes it.
type Plugin struct {
	Name              string
	HeartbeatInterval time.Duration
	UIBundleURL       string // of the plugin's user interface; may be empty
	Aggregates        []AnyAggregate
	ReadModels        []AnyReadModel
	Mappings          []Mapping
	Publications      []Publication
	Extensions        []Extension
	Tasks             []Task
}
