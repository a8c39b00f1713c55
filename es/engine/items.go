package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"onlineshop/es"
)

// Rows below a stream have a head: the row whose sub-id is empty. It has no view, and says
// how far the stream is folded into the others. One that says nothing, and was written, is
// of rows that are being written: whoever finds it folds them afresh.

// ItemID returns the [Row].ID of a row below a stream; of the head if subID is empty.
func ItemID(id, subID string) string { return id + itemMark + subID }

// SplitItemID returns what a row's ID is made of.
func SplitItemID(rowID string) (id, subID string) {
	i := strings.LastIndex(rowID, itemMark)
	return rowID[:i], rowID[i+1:]
}

const (
	itemMark = "\x00" // in no sub-id
	// ItemsAtOnce is how many rows one write has beside their head: DynamoDB's transactions
	// have 100 items.
	ItemsAtOnce = 99
	// itemsOfCommit is how many rows a commit may change.
	itemsOfCommit = 100
	itemsPage     = 1000
	maxSubID      = 256
	maxItemsBytes = 3 << 20 // of views in one write; a transaction has 4 MB
)

// validKind returns an error if a read model's sources don't fit together.
func validKind(d es.ReadModelDefinition) error {
	switch {
	case d.Kind == "":
		return fmt.Errorf("read model %s: its rows are es.From, es.ItemsFrom or es.PartsFrom its sources, one of these", d.Name)
	case d.Kind != es.ViewRows && len(d.Sources) != 1:
		return fmt.Errorf("read model %s: rows below a stream, and parts, come from one aggregate, not from %s", d.Name, strings.Join(d.Sources, " and "))
	}
	return nil
}

// behindSub is where a page of sub-ids begins that comes after that one.
func behindSub(subID string) string {
	if subID == "" {
		return ""
	}
	return subID + "\x00"
}

func validSubID(subID string) bool {
	return subID != "" && len(subID) <= maxSubID && utf8.ValidString(subID) && !strings.Contains(subID, itemMark)
}

// items keeps the rows below a stream equal to the fold of its log, as [Engine.row] does
// with a row. It reads no others than those that change.
func (e *Engine) items(ctx context.Context, m *model, id string, want catchUpTo) error {
	// As with a row, the conditional write proves that there is no head.
	speculate := want.commit != nil && want.seq == 0 && !want.afresh
	for ; ; speculate = false {
		head, err := Row{Model: m.Name, ID: ItemID(id, "")}, error(nil)
		if !speculate {
			head, err = e.Rows.Row(ctx, m.Name, head.ID)
		}
		if err != nil {
			return fmt.Errorf("read the head of %s of %s: %w", id, m.Name, err)
		}
		seen := want.refold && head.At[m.Sources[0]].Next > 0 || want.source != "" && want.seq < head.At[want.source].Next
		if seen && head.Made == m.declared && !want.afresh {
			return nil
		}
		bring := e.bringItems
		if m.Kind == es.ViewKeyed {
			bring = e.bringParts
		}
		lost, err := bring(ctx, m, id, head, want)
		if err != nil || !lost {
			return err
		}
	}
}

func (e *Engine) bringItems(ctx context.Context, m *model, id string, head Row, want catchUpTo) (lost bool, err error) {
	source := m.Sources[0]
	s := Stream{source, id}
	at := head.At[source]
	afresh, err := e.itemsAfresh(ctx, m, id, head, want)
	if err != nil {
		return false, err
	}
	if afresh {
		return e.foldItemsAfresh(ctx, m, s, head)
	}
	head.Made = m.declared
	fold := func(c Commit) error {
		b := e.below(ctx, m, id)
		if err := b.fold(c); err != nil {
			return err
		}
		rows, err := b.rows(slices.Collect(maps.Keys(b.changed)))
		if err != nil {
			return err
		}
		head, lost, err = e.putItems(ctx, head, map[string]Position{source: {Next: c.Seq + 1, Version: c.Version}}, rows)
		if lost {
			return errStop
		}
		return err
	}
	if want.commit != nil && want.commit.Seq == at.Next {
		err = fold(*want.commit)
	} else {
		err = e.commits(ctx, s, at.Next, fold)
	}
	if errors.Is(err, errStop) {
		err = nil
	}
	return lost, err
}

// itemsAfresh reports whether a stream must be folded from its start: what is known of it
// is nothing, unfinished, by other code or of another log.
func (e *Engine) itemsAfresh(ctx context.Context, m *model, id string, head Row, want catchUpTo) (bool, error) {
	first := want.commit != nil && want.seq == 0 && head.Rev == 0
	if want.afresh || head.Rev > 0 && head.Made != m.declared || head.At[m.Sources[0]].Next == 0 && !first {
		return true, nil
	}
	if want.source == "" {
		return e.aheadOfLog(ctx, m, id, head)
	}
	return false, nil
}

// untold reports whether a head need not be written: of a stream whose first commit makes
// no rows, as most have no other. The next one folds it from its start.
func untold(head Row, at map[string]Position) bool {
	if head.Rev > 0 {
		return false
	}
	for _, p := range at {
		if p.Next > 1 {
			return false
		}
	}
	return true
}

// putItems writes rows and, in the end, how far they are folded. More than fit into one
// write are known by their head to be unfinished until the last ones are written.
func (e *Engine) putItems(ctx context.Context, head Row, at map[string]Position, rows []Row) (_ Row, lost bool, err error) {
	if len(rows) == 0 && untold(head, at) {
		return head, false, nil
	}
	for {
		n, size := 0, 0
		for n < len(rows) && n < e.ItemsAtOnce && size < maxItemsBytes {
			size += len(rows[n].View)
			n++
		}
		head.Rev, head.At = head.Rev+1, nil
		if n == len(rows) {
			head.At = at
		}
		if lost, err = e.Rows.PutItems(ctx, head, rows[:n], nil); err != nil {
			return head, false, fmt.Errorf("write %d rows of %s: %w", n, head.Model, err)
		}
		if lost || n == len(rows) {
			return head, lost, nil
		}
		rows = rows[n:]
	}
}

// foldItemsAfresh folds the whole log, and writes where that differs from what is stored.
func (e *Engine) foldItemsAfresh(ctx context.Context, m *model, s Stream, head Row) (lost bool, err error) {
	want, at, err := e.foldItems(ctx, m, s, math.MaxInt64)
	if err != nil {
		return false, err
	}
	var changed []Row
	if head.Rev > 0 {
		err := e.eachItem(ctx, ItemsQuery{Model: m.Name, ID: s.ID, Limit: itemsPage}, func(stored Row) error {
			switch row, ok := want[stored.ID]; {
			case !ok:
				changed = append(changed, Row{Model: m.Name, ID: stored.ID})
			case sameRow(row, stored):
				delete(want, stored.ID)
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		changed = append(changed, want[id])
	}
	now := map[string]Position{s.Aggregate: at}
	if at.Next == 0 {
		now = nil // the stream is gone
	}
	if len(changed) == 0 && maps.Equal(now, head.At) && (head.Made == m.declared || now == nil) {
		return false, nil
	}
	head.Made = m.declared
	_, lost, err = e.putItems(ctx, head, now, changed)
	return lost, err
}

func sameRow(a, b Row) bool {
	return string(a.View) == string(b.View) && a.Owner == b.Owner &&
		maps.Equal(a.Indexed, b.Indexed) && maps.Equal(a.Sorted, b.Sorted) && slices.Equal(a.Words, b.Words)
}

// foldItems folds the rows below a stream from its log, up to a commit, by their IDs.
func (e *Engine) foldItems(ctx context.Context, m *model, s Stream, until int64) (rows map[string]Row, at Position, err error) {
	b := e.below(ctx, m, s.ID)
	b.whole = true
	err = e.commits(ctx, s, 0, func(c Commit) error {
		if c.Seq >= until {
			return errStop
		}
		clear(b.changed)
		at = Position{Next: c.Seq + 1, Version: c.Version}
		return b.fold(c)
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, at, err
	}
	list, err := b.rows(slices.Collect(maps.Keys(b.views)))
	rows = map[string]Row{}
	for _, r := range list {
		if r.View != nil {
			rows[r.ID] = r
		}
	}
	return rows, at, err
}

// eachItem calls do for all rows that the query selects, whose limit is of pages.
func (e *Engine) eachItem(ctx context.Context, q ItemsQuery, do func(Row) error) error {
	for {
		page, more, err := e.Rows.Items(ctx, q)
		if err != nil {
			return fmt.Errorf("list the rows below %s of %s: %w", q.ID, q.Model, err)
		}
		for _, r := range page {
			if err := do(r); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		_, last := SplitItemID(page[len(page)-1].ID)
		q.From = behindSub(last)
	}
}

// rowsBelow are rows below a stream while commits are folded into them.
type rowsBelow struct {
	*Engine
	ctx     context.Context
	model   *model
	id      string
	whole   bool           // what is not in views is not stored
	views   map[string]any // by sub-id; nil: absent
	owners  map[string]string
	keys    map[string][]byte // that rows are sealed with
	changed map[string]bool
}

func (e *Engine) below(ctx context.Context, m *model, id string) *rowsBelow {
	return &rowsBelow{Engine: e, ctx: ctx, model: m, id: id, views: map[string]any{}, owners: map[string]string{}, changed: map[string]bool{}}
}

// fold applies a commit, whose changes are in changed.
func (b *rowsBelow) fold(c Commit) error {
	events, err := b.aggregates[c.Stream.Aggregate].decode(c)
	if err != nil {
		return err
	}
	b.keys = withKey(b.keys, c.Stream.Aggregate, c)
	for _, ev := range events {
		if err := b.apply(c, ev); err != nil {
			return err
		}
	}
	if n := len(b.changed); n > itemsOfCommit {
		return fmt.Errorf("commit %d of %s changes %d rows of %s, and one may change %d: let its projection make fewer rows, or the command more commits", c.Seq, c.Stream, n, b.model.Name, itemsOfCommit)
	}
	return nil
}

func (b *rowsBelow) apply(c Commit, ev es.Recorded[any]) (err error) {
	defer Guard(b.model.consumer, &err)
	for _, change := range b.model.ProjectItems(c.Stream.Aggregate, ev) {
		subIDs := []string{change.SubID}
		if change.All {
			if subIDs, err = b.present(); err != nil {
				return err
			}
		} else if !validSubID(change.SubID) {
			return fmt.Errorf("commit %d of %s changes a row of %s with the sub-id %q: it must have 1 to %d bytes of UTF-8, and no zero byte", c.Seq, c.Stream, b.model.Name, change.SubID, maxSubID)
		}
		for _, subID := range subIDs {
			var was any
			if !change.Blind {
				if was, err = b.view(subID); err != nil {
					return err
				}
			}
			now := change.Apply(was)
			if now == nil && was == nil && !change.Blind {
				continue // there is nothing to update
			}
			b.views[subID], b.changed[subID], b.owners[subID] = now, true, c.Meta.Owner
		}
	}
	return nil
}

// view returns a row's view; nil: it is absent.
func (b *rowsBelow) view(subID string) (any, error) {
	if v, ok := b.views[subID]; ok || b.whole {
		return v, nil
	}
	row, err := b.Rows.Row(b.ctx, b.model.Name, ItemID(b.id, subID))
	if err != nil {
		return nil, fmt.Errorf("read row %s of %s of %s: %w", subID, b.id, b.model.Name, err)
	}
	return b.loaded(subID, row)
}

func (b *rowsBelow) loaded(subID string, row Row) (v any, err error) {
	if row.View != nil {
		if v, err = b.model.Decode(row.View); err != nil {
			return nil, err
		}
	}
	if row.keys != nil {
		b.keys = row.keys
	}
	b.views[subID] = v
	return v, nil
}

// present returns the sub-ids of all rows, in order.
func (b *rowsBelow) present() (subIDs []string, err error) {
	if !b.whole {
		b.whole = true
		err := b.eachItem(b.ctx, ItemsQuery{Model: b.model.Name, ID: b.id, Limit: itemsPage}, func(r Row) (err error) {
			_, subID := SplitItemID(r.ID)
			if _, known := b.views[subID]; !known {
				_, err = b.loaded(subID, r)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for subID, v := range b.views {
		if v != nil {
			subIDs = append(subIDs, subID)
		}
	}
	slices.Sort(subIDs)
	return subIDs, nil
}

// rows returns those rows, in order, as they are stored.
func (b *rowsBelow) rows(subIDs []string) (rows []Row, err error) {
	slices.Sort(subIDs)
	for _, subID := range subIDs {
		row := Row{Model: b.model.Name, ID: ItemID(b.id, subID), keys: b.keys}
		if v := b.views[subID]; v != nil {
			row.Owner = b.owners[subID]
			if row.View, err = b.model.Encode(v); err != nil {
				return nil, fmt.Errorf("row %s of %s of %s: %w", subID, b.id, b.model.Name, err)
			}
			if err = b.model.index(&row); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Items returns a page of the rows below a stream that the caller may see, in the order of
// their sub-ids, after that one. next is the last one's, empty at the end. With minVersion
// it folds what is missing first, and returns [ErrVersionNotReached] if the stream has not
// reached that version. A stream without such rows has an empty page.
func (e *Engine) Items(ctx context.Context, caller es.Caller, name, id string, minVersion *int64, after string, limit int) (rows []Row, next string, err error) {
	m, err := e.readable(caller, name)
	if err != nil {
		return nil, "", err
	}
	if m.Kind != es.ViewItems {
		return nil, "", ErrNotFound.Because("%s has no rows below an id", name)
	}
	head, err := e.Rows.Row(ctx, m.Name, ItemID(id, ""))
	if err != nil {
		return nil, "", fmt.Errorf("head of %s of %s: %w", id, name, err)
	}
	at := head.At[m.Sources[0]]
	var more bool
	if head.Rev > 0 && (at.Next == 0 || head.Made != m.declared) || minVersion != nil && at.Version < *minVersion {
		if rows, at, err = e.folded(ctx, m, Stream{m.Sources[0], id}); err != nil {
			return nil, "", err
		}
		rows = slices.DeleteFunc(rows, func(r Row) bool { return r.ID <= ItemID(id, after) })
		if more = len(rows) > limit; more {
			rows = rows[:limit]
		}
	} else if rows, more, err = e.Rows.Items(ctx, ItemsQuery{Model: m.Name, ID: id, From: behindSub(after), Limit: limit}); err != nil {
		return nil, "", fmt.Errorf("rows below %s of %s: %w", id, name, err)
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.shut }) { // they are being folded afresh
		return nil, "", fmt.Errorf("rows below %s of %s: %w", id, name, ErrUnavailable)
	}
	if !m.Access.Admits(caller) {
		// Who sees their own rows only can't tell somebody else's stream from none.
		if rows = slices.DeleteFunc(rows, func(r Row) bool { return r.Owner != caller.User }); len(rows) == 0 {
			return nil, "", nil
		}
	}
	if minVersion != nil && at.Version < *minVersion {
		return nil, "", ErrVersionNotReached.Because("%s has version %d, not yet %d", id, at.Version, *minVersion)
	}
	if more {
		_, next = SplitItemID(rows[len(rows)-1].ID)
	}
	return rows, next, nil
}

// folded returns the rows below a stream as its log says, in order.
func (e *Engine) folded(ctx context.Context, m *model, s Stream) (rows []Row, at Position, err error) {
	byID, at, err := e.foldItems(ctx, m, s, math.MaxInt64)
	if err != nil {
		return nil, at, err
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		rows = append(rows, byID[id])
	}
	return rows, at, nil
}
