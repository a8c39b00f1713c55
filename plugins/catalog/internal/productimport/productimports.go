package productimport

import (
	"net/url"
	"time"

	"onlineshop/es"
)

// Import is a row of ProductImports: the latest run of an uploaded file.
type Import struct {
	Status     Status
	Size       int64 // bytes of the file
	Offset     int64 // bytes read so far
	Rows       int   // rows read so far
	Added      int   // rows that added a product
	Unchanged  int   // rows whose product was there already
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

// ProductImports is what became of each uploaded file.
var ProductImports = es.NewReadModel[Import]("ProductImports", es.FromRecorded(Aggregate, toImport)).
	Allow(es.AllowGroups(es.Admin))

func toImport(r es.Recorded[Event]) es.Change[Import] {
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
				i.Report = "/catalog/product-imports/" + url.PathEscape(r.ID) + "/report"
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
