package engine

import "context"

// Work is live or bulk. Live is what a person's request sets off, and what that sets off
// in turn. Bulk is everything that there may be very much of: tasks, sweeps, rebuilds,
// redrives, catching up. Platforms let live work pass bulk work, which is why commits and
// hints say which they are. It changes when something is done, never what is done.

type bulkKey struct{}

// Bulk returns a context for bulk work. Commits that are appended and hints that are sent
// with it, or with one derived from it, are bulk, too.
func Bulk(ctx context.Context) context.Context {
	if IsBulk(ctx) {
		return ctx
	}
	return context.WithValue(ctx, bulkKey{}, true)
}

// IsBulk reports whether ctx is one of bulk work.
func IsBulk(ctx context.Context) bool { return ctx.Value(bulkKey{}) != nil }

// in returns ctx, or a bulk one derived from it.
func in(ctx context.Context, bulk bool) context.Context {
	if bulk {
		return Bulk(ctx)
	}
	return ctx
}
