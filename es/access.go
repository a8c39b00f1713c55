package es

import (
	"context"
	"iter"
	"slices"
	"time"
)

// Admin is the group that may do everything the shop declares.
const Admin = "Admin"

// Caller is who a command or query comes from.
type Caller struct {
	User   string // "": who did not sign in
	Groups []string
	System bool // a follower or task of the shop itself: may do everything
}

// System is the caller of followers and tasks.
func System() Caller { return Caller{User: "system", System: true} }

// In reports whether the caller is in the group.
func (c Caller) In(group string) bool { return c.System || slices.Contains(c.Groups, group) }

// Access says who may send a command or read a view. The zero value is any
// signed-in user.
type Access struct {
	Groups    []string // members of one of these may
	Owner     bool     // so may the owner; without groups and owner: any signed-in user
	Anonymous bool     // so may anybody who does not sign in
	Denied    bool     // nobody may but the shop itself
}

// AllowSignedIn lets any signed-in user in.
func AllowSignedIn() Access { return Access{} }

// AllowAnonymous lets anybody in, signed in or not.
func AllowAnonymous() Access { return Access{Anonymous: true} }

// DenyAll lets nobody in but the shop's own followers and tasks.
func DenyAll() Access { return Access{Denied: true} }

// AllowGroups lets members of any of the groups in, and nobody else.
func AllowGroups(group string, more ...string) Access {
	return Access{Groups: append([]string{group}, more...)}
}

// AllowOwner lets the owner of the aggregate or row in, and members of the
// groups. To others it does not exist.
func AllowOwner(groups ...string) Access { return Access{Groups: groups, Owner: true} }

// Admits reports whether the caller may come in whoever owns the thing.
func (a Access) Admits(c Caller) bool {
	switch {
	case c.System:
		return true
	case a.Denied:
		return false
	case c.User == "": // who did not sign in
		return a.Anonymous
	}
	return len(a.Groups) == 0 && !a.Owner || slices.ContainsFunc(a.Groups, c.In)
}

// AdmitsOwner reports whether the caller may come in to a thing of that owner.
func (a Access) AdmitsOwner(c Caller, owner string) bool {
	return a.Admits(c) || !a.Denied && a.Owner && owner != "" && owner == c.User
}

// Reader reads aggregates of the same plugin, strongly consistent. Checks, side
// effects and tasks get one.
type Reader interface {
	// Caller is who the command comes from.
	Caller() Caller
	// Load folds an aggregate; one that is not there has version 0.
	Load(ctx context.Context, aggregate, id string) (Loaded, error)
	// Events reads an aggregate's history from the first event on.
	Events(ctx context.Context, aggregate, id string) iter.Seq2[Recorded[any], error]
}

// Loaded is an aggregate's present state.
type Loaded struct {
	State   any
	Owner   string // who created it
	Version int64  // how many events it has
}

// Recorded is an event with its envelope.
type Recorded[E any] struct {
	ID      string // the aggregate's
	Event   E
	Version int64 // the event's place in its stream, from 1
	Time    time.Time
	Meta    Meta
}

// Meta is what a commit knows beside its events.
type Meta struct {
	MessageID     string // the command's
	CorrelationID string // of everything that one request set off
	CausationID   string // message id of what caused the command; empty for a user's own
	User          string // who sent the command
	Owner         string // who the aggregate belongs to
	Service       string // the plugin that decided
}
