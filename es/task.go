package es

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"
)

// SideEffect is imperative work that events of an aggregate, or of another plugin's
// extension point, set off, such as an e-mail. It is fire-and-forget: an error is logged and counted, never retried. It skips commits that
// are older than 24 hours. A new one in a shop with history also skips those before it,
// unless FromBeginning or Since says otherwise.
type SideEffect struct {
	Name     string          // within the plugin, e.g. "SendOrderConfirmation"
	Source   string          // full name of the aggregate; empty: see Point
	Point    PointDefinition // whose events set it off, where it has a name: see [NewBoundarySideEffect]
	Start    Start
	Concerns func(e any) bool
	Run      func(context.Context, Reader, Recorded[any]) error
	Readable []Readable // see Reads
}

// NewSideEffect declares a side effect of source's events of type T, which is one event or
// the whole union. run may be called concurrently for different aggregates.
func NewSideEffect[C, E, S, T any](name string, source Aggregate[C, E, S], run func(ctx context.Context, r Reader, e Recorded[T]) error) SideEffect {
	mustBe[E, T](source.rules.Name)
	s := newSideEffect(name, run)
	s.Source = source.rules.Name
	return s
}

// NewBoundarySideEffect declares a side effect of what another plugin publishes: of an
// extension point's events of type T, which is one event or the whole union. They are
// enveloped as an extension's are, and come in the order of the publisher's streams. run may
// be called concurrently for different streams.
func NewBoundarySideEffect[P, T any](name string, p Point[P], run func(ctx context.Context, r Reader, e Recorded[T]) error) SideEffect {
	mustBe[P, T](p.rules.Name)
	s := newSideEffect(name, run)
	s.Point = p.Definition()
	return s
}

func newSideEffect[T any](name string, run func(ctx context.Context, r Reader, e Recorded[T]) error) SideEffect {
	return SideEffect{
		Name: name, Start: Start{New: true},
		Concerns: func(e any) bool { _, ok := e.(T); return ok },
		Run: func(ctx context.Context, r Reader, e Recorded[any]) error {
			return run(ctx, r, Recorded[T]{e.ID, e.Event.(T), e.Version, e.Time, e.Meta})
		},
	}
}

// Reads says which read models of the plugin the side effect reads, and of which aggregates
// it lists the ids. The engine refuses others.
func (s SideEffect) Reads(reads ...Readable) SideEffect { s.Readable = reads; return s }

// FromBeginning makes a new side effect act on the last 24 hours of a shop's history.
func (s SideEffect) FromBeginning() SideEffect { s.Start = Start{}; return s }

// Since makes a new side effect act on what was committed from that time on, within the
// last 24 hours.
func (s SideEffect) Since(t time.Time) SideEffect { s.Start = Start{Since: t}; return s }

// Task is work that objects in a bucket, or time, set off. It also hosts side effects.
type Task struct {
	Name string
	// Bucket is where people hand in objects, of which each sets off OnObject, once; empty:
	// none.
	Bucket string
	// OnObject handles one object. It may be called again for the same object at any
	// time, even while an earlier call still runs elsewhere, and must continue from
	// what it has recorded. It returns nil when the object is done, and [ErrUnfinished]
	// to be called again at once. After any other error the platform calls it again
	// later.
	OnObject func(ctx context.Context, o Object, s Shop) error
	// Buckets are those whose objects stay.
	Buckets []Bucket
	// Check returns what OnObject would make of an object. Commands that it executes
	// are decided, each on top of those before it, but nothing is appended, so that read
	// models don't show them. nil: the task can't tell.
	Check func(ctx context.Context, o Object, s Shop) (Check, error)
	// Reports is the read model whose rows have the reports; nil if the task writes
	// none. A report's id is the object's key. It exists while its row has a field
	// "report". A page shows how far an object is by the fields "status", which is
	// "running" until the task is done with it, "offset" and "size".
	Reports AnyReadModel
	// Mails says that objects or schedules of the task have e-mails sent. On AWS its
	// function may do so then; side effects always may.
	Mails bool
	// Example is the text of an object to start from, for people; optional.
	Example     string
	SideEffects []SideEffect
	Schedules   []Schedule
	// Sends lists the aggregates of the plugin that OnObject and Schedules send commands to. The
	// engine refuses commands for others. nil: any.
	Sends []AnyAggregate
	// Reads lists the read models of the plugin that OnObject, Check and Schedules read, and
	// the aggregates of which they list the ids. The engine refuses others. Side effects say
	// so themselves.
	Reads []Readable
}

// Works reports whether something sets the task off, beside its side effects.
func (t Task) Works() bool {
	return t.Bucket != "" || len(t.Schedules) > 0 || slices.ContainsFunc(t.Buckets, Bucket.Watched)
}

// Check is what a task would make of an object.
type Check struct {
	Refused string // why the whole object would be refused; empty: it would not
	Note    string // how the object was read, if that is worth knowing
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
	Outcome string // [RowAdded], [RowUnchanged], or the code of the rejection
	Reason  string // of the rejection, for people
}

// ErrUnfinished is returned by a task that stopped at a checkpoint because [Shop].Stopping
// reported true.
var ErrUnfinished = errors.New("unfinished: to be called again")

// ErrObjectGone is returned by [Object].Open if the object no longer exists, or was
// replaced.
var ErrObjectGone = errors.New("the object is no longer there")

// ErrUnreadable is returned by [Object].Open if the object exists but could not be read
// for a while. It wraps the reason.
var ErrUnreadable = errors.New("the object can't be read")

// Object is something that was put into a bucket.
type Object struct {
	Key    string
	ETag   string
	Upload string // orders the uploads of one key: a later one compares greater
	Size   int64  // bytes
	// Charset is the encoding of its text according to the uploader, e.g.
	// "windows-1252"; empty if unknown.
	Charset string
	// Open reads the object from byte offset on. It returns [ErrObjectGone] if the
	// object no longer has this ETag. The caller closes the reader.
	Open func(ctx context.Context, offset int64) (io.ReadCloser, error)
	// WriteReport stores a text/csv report for the object, replacing an earlier one.
	WriteReport func(ctx context.Context, write func(io.Writer) error) error
}

// Shop is what a task works with. Safe for concurrent use.
type Shop interface {
	Reader
	// Execute executes commands: those for one aggregate in the given order, others
	// concurrently. A command takes effect once per message id, so use the same id
	// when the work is repeated. The outcome of commands[i] is outcomes[i].
	Execute(ctx context.Context, commands ...TaskCommand) []Outcome
	// Write puts an object into a bucket that the task declares to write to, or into that of
	// [Reports]. Who reads it meanwhile sees the earlier object or the new one, whole.
	Write(ctx context.Context, bucket, key string, write func(io.Writer) error) error
	// Read opens an object of a bucket that the task declares to read. It returns
	// [ErrObjectGone] if there is none. The caller closes the reader.
	Read(ctx context.Context, bucket, key string) (io.ReadCloser, error)
	// Stopping reports whether the task should return [ErrUnfinished] at its next
	// checkpoint.
	Stopping() bool
}

// TaskCommand is a command with the id that makes it take effect once.
type TaskCommand struct {
	Command
	MessageID     string // empty: a new one each time
	CorrelationID string
}

// Outcome is the result of a command.
type Outcome struct {
	Version int64    // of the aggregate, after the command
	Events  []string // names of the events; empty if there was nothing to change
	Err     error    // a *Rejection if the domain says no
}

// Plugin is a plugin's composition. The generator writes it.
type Plugin struct {
	Name              string
	HeartbeatInterval time.Duration
	UIBundleURL       string // of the plugin's user interface; optional
	Aggregates        []AnyAggregate
	ReadModels        []AnyReadModel
	Mappings          []Mapping
	Publications      []Publication
	Extensions        []Extension
	Tasks             []Task
}
