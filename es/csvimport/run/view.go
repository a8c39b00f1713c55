package run

import (
	"net/url"
	"time"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// Import is a row of a view of imports: the latest run of an uploaded file.
type Import struct {
	Status     Status
	Size       int64 // bytes of the file
	Offset     int64 // bytes read so far //es:title Bytes read
	Rows       int   // rows read so far
	Added      int   // rows that added something
	Unchanged  int   // rows of what was there already
	Rejected   int   // rows that the error report lists
	StartedAt  time.Time
	FinishedAt time.Time //es:optional
	Reason     string    //es:optional
	Report     string    //es:optional
	Note       string    //es:optional
}

// Status is how far an import has come.
type Status string

// An import runs, and ends finished or, as a whole, rejected.
const (
	StatusRunning  Status = "running"
	StatusFinished Status = "finished"
	StatusRejected Status = "rejected"
)

// NewView returns the view of that name, within the plugin, of what became of each
// uploaded file. Its rows are sorted by when they were started, since nobody looks for files
// by their keys.
func NewView(name string, of es.Aggregate[Command, Event, State]) es.ReadModel[Import] {
	path := "/" + naming.PathSegment(naming.Plugin(of.Name())) + "/" + naming.PathSegment(name) + "/"
	return es.NewReadModel[Import](name, es.From(of, func(r es.Recorded[Event]) es.Change[Import] { return toImport(path, r) })).
		Sort("startedAt").Allow(es.AllowGroups(es.Admin))
}

func toImport(path string, r es.Recorded[Event]) es.Change[Import] {
	switch e := r.Event.(type) {
	case Started:
		return es.Set(Import{Status: StatusRunning, Size: e.Size, StartedAt: r.Time})
	case Progressed:
		return es.Update(func(i Import) Import {
			if e.Note != "" {
				i.Note = e.Note
			}
			i.Offset, i.Rows, i.Added, i.Unchanged, i.Rejected = e.Offset, e.Rows, e.Added, e.Unchanged, e.Rejected
			return i
		})
	case Finished:
		return es.Update(func(i Import) Import {
			i.Status, i.FinishedAt = StatusFinished, r.Time
			if i.Rejected > 0 {
				i.Report = path + url.PathEscape(r.ID) + "/report"
			}
			return i
		})
	case Rejected:
		return es.Update(func(i Import) Import {
			i.Status, i.FinishedAt, i.Reason = StatusRejected, r.Time, e.Reason
			return i
		})
	}
	return nil
}
