package es

import "context"

// Bucket is a place for objects that stay: a folder on one machine, a bucket of S3 on AWS.
// A task has just the rights that it declares. Files that people hand in, to be worked on
// once, belong into [Task].Bucket.
type Bucket struct {
	Name string // in kebab case, e.g. "price-lists"; tasks of one plugin may share a bucket
	// OnCreated is called for each object that was put there, or replaced, by whomever: at
	// least once, and like [Task].OnObject. It has the right to read. Its Object has no
	// WriteReport. At most one task has it, or OnRemoved.
	OnCreated func(ctx context.Context, o Object, s Shop) error
	// OnRemoved is called at least once where an object was removed. Another one may have
	// its key by then, with a greater Upload.
	OnRemoved func(ctx context.Context, r Removed, s Shop) error
	Read      bool // the task reads objects by [Shop].Read
	Write     bool // it writes objects by [Shop].Write
}

// Reads reports whether the task has the right to read.
func (b Bucket) Reads() bool { return b.Read || b.OnCreated != nil }

// Watched reports whether something happens when its objects change.
func (b Bucket) Watched() bool { return b.OnCreated != nil || b.OnRemoved != nil }

// Reports is the bucket of reports, which any task may write to. A task's report on an
// object has the object's key. One that belongs to no object is served by its key:
// GET /invoicing/overdue/KEY/report for task Overdue of plugin Invoicing.
const Reports = "reports"

// Removed is an object that is no longer there.
type Removed struct {
	Key    string
	Upload string // orders what happens to one key, as that of [Object] does
}

// MessageID is that of a command that the object sets off, so that it takes effect once
// however often the task is called: what tells apart those of one object.
func (o Object) MessageID(what string) string { return objectID(o.Key, o.Upload, what) }

// MessageID is like that of [Object].
func (r Removed) MessageID(what string) string { return objectID(r.Key, r.Upload, "removed/"+what) }

func objectID(key, upload, what string) string { return key + "@" + upload + "/" + what }
