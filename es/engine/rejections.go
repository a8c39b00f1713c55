package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"onlineshop/es"
)

// KeptRejection is the domain's no to a follower's command, which is final. Another
// attempt at the same command gets the same answer, whatever has changed since.
type KeptRejection struct {
	Command       CommandID // Index is [SkippedIndex] if an operator let the follower pass over the commit
	Target        Stream    // whose rule said no; zero if it was skipped
	Code          string    // [CodeSkipped] if it was skipped
	Detail        string    // for people; an operator's reason
	Time          time.Time // milliseconds
	CorrelationID string
	User          string // who skipped it; otherwise empty
}

// What stands in a rejection that is an operator's skip: of a whole commit.
const (
	CodeSkipped  = "Skipped"
	SkippedIndex = -1
)

// anyPlace keeps a rejection whatever its target has.
const anyPlace = -1

// RejectionsKept is how long rejections are kept. No copy of a message is on its way for
// so long.
const RejectionsKept = 30 * 24 * time.Hour

// Follower returns the name of the follower whose command it was.
func (r KeptRejection) Follower() string { return r.Command.Follower() }

// Source returns the name of the stream that the follower acted on.
func (r KeptRejection) Source() string { return r.Command.Source() }

// Order returns the rejection's place in the order of all, by time: texts that sort as
// the rejections do. It has at most 64 bytes.
func (r KeptRejection) Order() string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d", r.Command.Origin, r.Command.Seq, r.Command.Index))
	return r.Time.UTC().Format("2006-01-02T15:04:05.000Z") + hex.EncodeToString(h[:12])
}

// Rejections keeps what followers' commands were answered, where that was a no.
//
// A rejection and the acceptance of the same command exclude each other. An engine that
// accepts one has read, after the state that it decided on, that no rejection is kept; one
// that rejects it keeps that only if the target has no commit beyond the state that it
// decided on. So the one who decided on the later state knows of the other's answer, and
// on the same state both decide the same. A decision that looks beyond its state is
// appended with [Commit].UnlessRejected.
type Rejections interface {
	// Reject keeps a rejection, durably. It keeps nothing, and returns nil, if one is
	// kept for the command already: then kept is false. If the target has a commit at
	// next, it keeps nothing and returns [ErrConflict]; next is -1 where that does not
	// matter.
	Reject(ctx context.Context, r KeptRejection, next int64) (kept bool, err error)
	// Rejection returns the command's rejection, or nil if none is kept, strongly
	// consistent.
	Rejection(ctx context.Context, id CommandID) (*KeptRejection, error)
	// ListRejections returns the latest of a follower's rejections, newest first, at
	// most limit: those whose Order is below before, or if that is empty, all. It is
	// eventually consistent.
	ListRejections(ctx context.Context, follower, before string, limit int) ([]KeptRejection, error)
}

// ErrRejected is the error of an append with [Commit].UnlessRejected for a command whose
// rejection is kept.
var ErrRejected = errors.New("a rejection of this command is kept")

// answer is the rejection as the command's sender gets it.
func (r KeptRejection) answer() error {
	return &es.Rejection{Code: r.Code, Status: http.StatusConflict, Detail: r.Detail}
}

// rejected returns the answer that is kept for a follower's command, or nil.
func (e *Engine) rejected(ctx context.Context, o *attempt) (answer, err error) {
	r, err := e.Rejections.Rejection(ctx, o.id)
	if err != nil {
		return nil, fmt.Errorf("%s: rejection of the command: %w", o.stream, err)
	}
	if r == nil {
		return nil, nil
	}
	return r.answer(), nil
}

// reject keeps the rejection of a follower's command. ErrConflict says that the target
// has moved on since it was decided.
func (e *Engine) reject(ctx context.Context, o *attempt, next int64, no *es.Rejection) error {
	r := KeptRejection{Command: o.id, Target: o.stream, Code: no.Code, Detail: discreetText(ctx, no.Detail), CorrelationID: o.CorrelationID}
	kept, err := e.keep(ctx, r, next)
	if kept {
		e.Count(CommandRejected, r.Follower())
		e.Logger.InfoContext(ctx, "command rejected, which is final", "follower", r.Follower(), "stream", r.Source(), "seq", r.Command.Seq,
			"target", r.Target, "code", r.Code, "detail", r.Detail, "correlationId", r.CorrelationID)
	}
	return err
}

func (e *Engine) keep(ctx context.Context, r KeptRejection, next int64) (kept bool, err error) {
	r.Time = e.Clock.Now().UTC().Truncate(time.Millisecond)
	if kept, err = e.Rejections.Reject(ctx, r, next); err != nil && !errors.Is(err, ErrConflict) {
		err = fmt.Errorf("keep that %s was rejected by %s: %w", r.Follower(), r.Target, err)
	}
	return kept, err
}

// ListRejections returns a page of what followers' commands were refused and what
// operators skipped, newest first; of one follower, or if that is empty, of all. next is
// the cursor of the following page, empty at the end.
func (e *Engine) ListRejections(ctx context.Context, follower, cursor string, limit int) (page []KeptRejection, next string, err error) {
	of := []string{follower}
	if follower == "" {
		of = slices.Sorted(maps.Keys(e.followers))
	} else if e.followers[follower] == nil {
		return nil, "", ErrNotFound.Because("there is no follower %s", follower)
	}
	oldest := e.Clock.Now().Add(-RejectionsKept)
	for _, f := range of {
		some, err := e.Rejections.ListRejections(ctx, f, cursor, limit+1)
		if err != nil {
			return nil, "", fmt.Errorf("list the rejections of %s: %w", f, err)
		}
		for _, r := range some {
			if r.Time.After(oldest) {
				page = append(page, r)
			}
		}
	}
	slices.SortFunc(page, func(a, b KeptRejection) int { return strings.Compare(b.Order(), a.Order()) })
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Order()
	}
	return page, next, nil
}

// mostRecentRejections is how many RecentRejections tells apart.
const mostRecentRejections = 1000

// RecentRejections returns how many of a follower's commands were refused, or skipped, in
// the latest 24 hours, at most 1,000.
func (e *Engine) RecentRejections(ctx context.Context, follower string) (n int, err error) {
	if e.followers[follower] == nil {
		return 0, nil
	}
	some, err := e.Rejections.ListRejections(ctx, follower, "", mostRecentRejections)
	if err != nil {
		return 0, fmt.Errorf("count the rejections of %s: %w", follower, err)
	}
	since := e.Clock.Now().Add(-24 * time.Hour)
	for _, r := range some {
		if r.Time.After(since) {
			n++
		}
	}
	return n, nil
}
