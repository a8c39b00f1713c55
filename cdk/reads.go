package main

import (
	"slices"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// declared is what a task or side effects say that they read, beside the state of
// aggregates.
type declared struct {
	rows []rows
	ids  bool // of some aggregates: the log has those of all
}

// declared finds the tables of what is said to be read.
func (p *plugin) declared(reads []es.Readable) (d declared) {
	views, aggregates := es.ReadsOf(reads)
	for _, r := range p.rows {
		if slices.ContainsFunc(views, func(v es.AnyReadModel) bool { return naming.Full(p.Name, v.Name()) == r.model }) {
			d.rows = append(d.rows, r)
		}
	}
	d.ids = len(aggregates) > 0
	return d
}

// effectReads are what the plugin's side effects read, which run in one function.
func (p *plugin) effectReads() (reads []es.Readable) {
	for _, t := range p.Tasks {
		for _, e := range t.SideEffects {
			reads = append(reads, e.Readable...)
		}
	}
	return reads
}

// tables are the names of the tables, by read model.
func (d declared) tables() map[string]string {
	out := map[string]string{}
	for _, r := range d.rows {
		out[r.model] = *r.table.TableName()
	}
	return out
}

// readsDeclared lets the function read that. Its rows are brought up to date from the log,
// which it reads anyway, and are not written.
func (f *function) readsDeclared(p *plugin, d declared) {
	for _, r := range d.rows {
		may := readRow + " " + listRows
		switch r.kind {
		case es.ViewItems: // are listed alone
			may = listRows
		case es.ViewKeyed: // are merged of what stands below their keys
			may = queryRows
		}
		f.allow(may, r.table.TableArn())
		listed := slices.DeleteFunc(slices.Clone(r.indexes), func(arn *string) bool { return arn == r.owners })
		if len(listed) > 0 {
			f.allow(queryRows, listed...)
		}
	}
	if d.ids {
		f.allow(listStreams, p.events.TableArn())
	}
}
