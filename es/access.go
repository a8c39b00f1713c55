package es

import (
	"context"
	"iter"
	"slices"
	"time"
)

// Admin is the group that may do everything.
const Admin = "Admin"

// Caller is the sender of a command or query.
type Caller struct {
	User   string // "": not signed in
	Groups []string
	System bool // a follower or task: may do everything
}

// System returns the caller that followers and tasks are.
func System() Caller { return Caller{User: "system", System: true} }

// In reports whether the caller is in the group.
func (c Caller) In(group string) bool { return c.System || slices.Contains(c.Groups, group) }

// Access says who may send a command or read a view. The zero value admits any signed-in
// user.
type Access struct {
	Groups    []string // admits members of any of these
	Owner     bool     // admits the owner, too; without groups and owner: any signed-in user
	Anonymous bool     // admits callers who are not signed in, too
	Denied    bool     // admits nobody but followers and tasks
}

// AllowSignedIn admits any signed-in user.
func AllowSignedIn() Access { return Access{} }

// AllowAnonymous admits everybody, signed in or not.
func AllowAnonymous() Access { return Access{Anonymous: true} }

// DenyAll admits nobody but followers and tasks.
func DenyAll() Access { return Access{Denied: true} }

// AllowGroups admits members of any of the groups, and nobody else.
func AllowGroups(group string, more ...string) Access {
	return Access{Groups: append([]string{group}, more...)}
}

// AllowOwner admits the owner of the aggregate or row, and members of the groups. For
// others it does not exist.
func AllowOwner(groups ...string) Access { return Access{Groups: groups, Owner: true} }

// Admits reports whether the caller is admitted regardless of ownership.
func (a Access) Admits(c Caller) bool {
	switch {
	case c.System:
		return true
	case a.Denied:
		return false
	case c.User == "": // not signed in
		return a.Anonymous
	}
	return len(a.Groups) == 0 && !a.Owner || slices.ContainsFunc(a.Groups, c.In)
}

// AdmitsOwner reports whether the caller is admitted to something of that owner.
func (a Access) AdmitsOwner(c Caller, owner string) bool {
	return a.Admits(c) || !a.Denied && a.Owner && owner != "" && owner == c.User
}

// Reader reads aggregates of the same plugin, strongly consistent, and its read models.
// Checks, side effects and tasks get one. A check's must not be used concurrently, and
// reads no read models and no ids: its rules are about what is certain. Errors are those
// of the store: return them.
type Reader interface {
	// Caller returns the sender of the command.
	Caller() Caller
	// Load returns an aggregate's current state. One that does not exist has version 0. The
	// state is shared: do not modify it.
	Load(ctx context.Context, aggregate, id string) (Loaded, error)
	// Events yields an aggregate's history, the first event first.
	Events(ctx context.Context, aggregate, id string) iter.Seq2[Recorded[any], error]
	// Row returns a read model's row; nil: there is none. See [ReadModel.Get].
	Row(ctx context.Context, view AnyReadModel, id string) (row any, err error)
	// List yields the rows that a query selects. See [ReadModel.List].
	List(ctx context.Context, view AnyReadModel, q Query) iter.Seq2[Item[any], error]
	// IDs yields the ids of an aggregate. See [Aggregate.IDs].
	IDs(ctx context.Context, of AnyAggregate) iter.Seq2[string, error]
}

// Loaded is an aggregate's current state.
type Loaded struct {
	State   any
	Owner   string // its creator, unless the aggregate says otherwise
	Version int64  // its number of events
}

// Recorded is an event with its envelope.
type Recorded[E any] struct {
	ID      string // the aggregate's
	Event   E
	Version int64 // the event's place in its stream, from 1
	Time    time.Time
	Meta    Meta
}

// Meta is a commit's metadata. A rule that takes a command's gets what its commit will
// have.
type Meta struct {
	MessageID     string // the command's
	CorrelationID string // shared by everything that one request set off
	CausationID   string // message id of what caused the command; empty for a user's command
	User          string // who sent the command
	Owner         string // of the aggregate
	Service       string // the plugin that decided
	Time          time.Time
}
