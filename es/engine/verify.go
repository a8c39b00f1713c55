package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"onlineshop/es"
)

// Verified is what a step of [Engine.Verify] has looked at, and what is wrong with it.
type Verified struct {
	Progress
	Claims   Claims    `json:"claims"`
	Findings []Finding `json:"findings"`
	Heads    []Head    `json:"heads"`
}

// Claims count what was verified.
type Claims struct {
	Streams int `json:"streams"` // without a gap, chained, and decoded by this program
	Commits int `json:"commits"`
	Hashed  int `json:"hashed"` // commits with a hash; others are of earlier versions
	Rows    int `json:"rows"`   // equal to what their logs say
	Behind  int `json:"behind"` // rows that have not seen the latest commits yet
	Cursors int `json:"cursors"`
}

// Finding is something that is wrong.
type Finding struct {
	Stream string `json:"stream"` // or what else it is about
	Detail string `json:"detail"`
}

// Head is a stream's last commit. Its link tells the whole stream.
type Head struct {
	Stream string `json:"stream"`
	Seq    int64  `json:"seq"`
	Link   []byte `json:"link,omitempty"` // absent: the commit has no hash
}

// logCheck begins the cursors of the steps that [Config].CheckLog does.
const logCheck = "log:"

// Verify looks at a page of streams, and at the rows and cursors of their consumers: every
// stream without a gap, chained and decodable, every row equal to the canonical fold, no
// cursor beyond the end. A row that lacks commits that were made before settled is a
// finding, too. It writes nothing. A foreign cursor gives [ErrCursor].
func (e *Engine) Verify(ctx context.Context, cursor string, settled time.Time) (Verified, error) {
	out := Verified{Findings: []Finding{}, Heads: []Head{}}
	if of, ok := strings.CutPrefix(cursor, logCheck); ok {
		return e.verifyLog(ctx, of, out)
	}
	var mu sync.Mutex
	progress, err := e.forEachStream(ctx, cursor, e.names, func(ctx context.Context, a *aggregate, id string) []error {
		one, err := e.verifyStream(ctx, a, Stream{a.Name, id}, settled)
		mu.Lock()
		defer mu.Unlock()
		out.add(one)
		if err != nil {
			return []error{err}
		}
		return nil
	})
	if out.Progress = progress; err != nil {
		return out, err
	}
	if out.Next == "" && e.CheckLog != nil {
		out.Next = logCheck
	}
	byStream := func(a, b Head) int { return strings.Compare(a.Stream, b.Stream) }
	slices.SortFunc(out.Heads, byStream)
	slices.SortFunc(out.Findings, func(a, b Finding) int { return byStream(Head{Stream: a.Stream}, Head{Stream: b.Stream}) })
	return out, nil
}

func (e *Engine) verifyLog(ctx context.Context, cursor string, out Verified) (_ Verified, err error) {
	if e.CheckLog == nil {
		return out, ErrCursor
	}
	var next string
	if out.Findings, next, err = e.CheckLog(ctx, cursor); err != nil {
		return out, fmt.Errorf("check the order of all commits: %w", err)
	}
	if next != "" {
		out.Next = logCheck + next
	}
	return out, nil
}

func (v *Verified) add(o Verified) {
	v.Claims.Streams += o.Claims.Streams
	v.Claims.Commits += o.Claims.Commits
	v.Claims.Hashed += o.Claims.Hashed
	v.Claims.Rows += o.Claims.Rows
	v.Claims.Behind += o.Claims.Behind
	v.Claims.Cursors += o.Claims.Cursors
	v.Findings = append(v.Findings, o.Findings...)
	v.Heads = append(v.Heads, o.Heads...)
}

func (v *Verified) find(s Stream, format string, args ...any) {
	v.Findings = append(v.Findings, Finding{s.String(), fmt.Sprintf(format, args...)})
}

// passing is an error that says nothing of what is stored.
func passing(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (e *Engine) verifyStream(ctx context.Context, a *aggregate, s Stream, settled time.Time) (out Verified, err error) {
	cursors, err := e.cursorsOn(ctx, a, s) // before the log, which grows
	if err != nil {
		return out, err
	}
	var last Commit
	err = e.commits(ctx, s, 0, func(c Commit) error {
		if want := last.Version + int64(len(c.Events)); c.Version != want {
			return broken(s, c.Seq, "its version is %d, and it has the events up to %d", c.Version, want)
		}
		if _, err := a.decodeAnew(c); err != nil {
			return err
		}
		if out.Claims.Commits++; len(c.Hash) > 0 {
			out.Claims.Hashed++
		} else if last.Link() != nil {
			out.find(s, "%d has no hash, and the one before has: an earlier version appended it while the shop was updated, or somebody changed it", c.Seq)
		}
		last = c
		return nil
	})
	switch {
	case passing(err):
		return out, err
	case err != nil:
		out.find(s, "%v", err)
		return out, nil // what follows from it can't be said
	case last.Version == 0:
		out.find(s, "it is listed, and has no commits")
		return out, nil
	}
	out.Claims.Streams++
	out.Heads = append(out.Heads, Head{s.String(), last.Seq, last.Link()})
	for _, follower := range slices.Sorted(maps.Keys(cursors)) {
		out.Claims.Cursors++
		if at := cursors[follower]; at > last.Seq+1 {
			out.find(s, "%s is at %d, beyond its end, %d", follower, at, last.Seq+1)
		}
	}
	for _, m := range a.models {
		switch another, err := e.earlierSource(ctx, m, s); {
		case passing(err):
			return out, err
		case another:
			continue // with whose stream the row is verified, or that is the finding
		}
		if m.Kind != es.ViewRows {
			differences, err := e.checkItems(ctx, m, s.ID)
			if err != nil {
				return out, err
			}
			for _, d := range differences {
				if m.personal() {
					d.Stored, d.Folded = nil, nil
				}
				out.find(s, "row %s of %s: %s %s is stored, and the log says %s %s", d.ID, m.Name, d.Field, d.Stored, d.Folded, d.Reason)
			}
			out.Claims.Rows++
			continue
		}
		if err := e.verifyRow(ctx, m, s, last, settled, &out); passing(err) {
			return out, err
		} else if err != nil {
			out.find(s, "row of %s: %v", m.Name, err)
		}
	}
	return out, nil
}

// earlierSource reports whether a source that the read model names before the stream's has
// a stream of that id.
func (e *Engine) earlierSource(ctx context.Context, m *model, s Stream) (bool, error) {
	for _, source := range m.Sources[:slices.Index(m.Sources, s.Aggregate)] {
		if head, err := e.head(ctx, Stream{source, s.ID}); err != nil || head != nil {
			return true, err
		}
	}
	return false, nil
}

// cursorsOn are the cursors of the stream's followers that are here.
func (e *Engine) cursorsOn(ctx context.Context, a *aggregate, s Stream) (map[string]int64, error) {
	names := make([]string, 0, len(a.followers))
	for _, f := range a.followers {
		names = append(names, f.name)
	}
	for _, p := range a.points {
		names = append(names, e.Listeners(p.Name)...)
	}
	out := map[string]int64{}
	for _, name := range names {
		cur, err := e.Cursors.Cursor(ctx, name, s)
		if err != nil {
			return nil, fmt.Errorf("%s: cursor on %s: %w", name, s, err)
		}
		out[name] = cur.Next
	}
	return out, nil
}

// verifyRow compares a row with the canonical fold, as far as the row has come: what it
// lacks is folded into it first. last is the stream's last commit.
func (e *Engine) verifyRow(ctx context.Context, m *model, s Stream, last Commit, settled time.Time, out *Verified) error {
	for { // until nobody wrote to it meanwhile
		row, err := e.Rows.Row(ctx, m.Name, s.ID)
		if err != nil {
			return fmt.Errorf("read it: %w", err)
		}
		if row.View != nil && row.Made != m.declared { // by other code: it is to be folded again
			out.Claims.Behind++
			return nil
		}
		want, _, err := e.foldRow(ctx, m, s.ID, Row{Model: m.Name, ID: s.ID}, catchUpTo{afresh: true})
		if err != nil {
			return err
		}
		ahead := slices.ContainsFunc(m.Sources, func(source string) bool { return row.At[source].Next > want.At[source].Next })
		at := func(r Row) bool {
			return !slices.ContainsFunc(m.Sources, func(source string) bool { return r.At[source] != want.At[source] })
		}
		behind := !at(row) && (row.View != nil || want.View != nil)
		got := row
		if behind && !ahead && row.View != nil {
			if got, _, err = e.foldRow(ctx, m, s.ID, row, catchUpTo{}); err != nil {
				return err
			}
		}
		if again, err := e.Rows.Row(ctx, m.Name, s.ID); err != nil {
			return fmt.Errorf("read it: %w", err)
		} else if again.Rev != row.Rev || row.View != nil && !ahead && !at(got) {
			continue
		}
		switch {
		case ahead:
			out.find(s, "row of %s: it is further than its log", m.Name)
		case row.View == nil && want.View != nil, behind:
			if row.View == nil || string(got.View) == string(want.View) && got.Owner == want.Owner {
				if out.Claims.Behind++; last.Meta.Time.Before(settled) {
					out.find(s, "row of %s: it lacks commits, the latest of %s", m.Name, es.FormatTime(last.Meta.Time))
				}
				break
			}
			fallthrough
		case string(got.View) != string(want.View) || got.Owner != want.Owner:
			out.find(s, "row of %s: it is %s, and the log says %s", m.Name, m.shown(got), m.shown(want))
		case !behind && (!maps.Equal(got.Indexed, want.Indexed) || !maps.Equal(got.Sorted, want.Sorted) || !slices.Equal(got.Words, want.Words)):
			out.find(s, "row of %s: what it is found by is not what its view says", m.Name)
		case row.View != nil:
			out.Claims.Rows++
		}
		return nil
	}
}

func (m *model) shown(r Row) string {
	if r.View == nil {
		return "absent"
	}
	if m.personal() {
		return "another one"
	}
	if r.Owner != "" {
		return fmt.Sprintf("%s of %q", r.View, r.Owner)
	}
	return string(r.View)
}

// HeadAt returns the stream's commit at that place as if it were its last; nil: there is
// none. A stream that only grew still has the heads that it had.
func (e *Engine) HeadAt(ctx context.Context, s Stream, seq int64) (*Head, error) {
	if e.aggregates[s.Aggregate] == nil || seq < 0 {
		return nil, nil
	}
	var out *Head
	err := e.commitsBy(ctx, s, seq, 1, func(c Commit) error {
		out = &Head{s.String(), c.Seq, c.Link()}
		return errStop
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, err
	}
	return out, nil
}
