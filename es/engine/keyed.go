package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/big"
	"slices"
	"strings"

	"onlineshop/es"
)

// A keyed view has, below each key, totals in [TotalShards] rows, and an entry of each part
// for each field that keeps the first or the last: the field, an order key, and the value.
// The head of each stream has the stream's own parts as they are counted, so that what is
// written with it is the difference: any order of streams gives the same totals.
const (
	// TotalShards is how many rows the totals of one key spread over, so that streams that
	// contribute to one key don't wait for each other. All are read at once.
	TotalShards = 32
	totalMark   = "+"
	totalEnd    = "," // after all totals
	entryMark   = "=" // before the field of an entry
	countName   = "n" // of parts, among a total's sums
	sumPrefix   = "sum_"
)

// IsTotal reports whether a row below a key has totals.
func IsTotal(subID string) bool { return strings.HasPrefix(subID, totalMark) }

func totalOf(key, stream string) string {
	h := fnv.New32a()
	h.Write([]byte(stream))
	return ItemID(key, fmt.Sprintf("%s%02d", totalMark, h.Sum32()%TotalShards))
}

// entryPrefix begins the sub-ids of a field's entries.
func entryPrefix(field string) string { return entryMark + field + "=" }

// entryEscape keeps the order of texts, and leaves no zero byte.
var entryEscape = strings.NewReplacer("\x01", "\x01\x02", "\x00", "\x01\x01")

// validMerges returns an error if a keyed view does not say how each field is merged, or
// says of it what does not go with its rows.
func validMerges(d es.ReadModelDefinition) error {
	if d.Kind != es.ViewKeyed {
		if len(d.Merges) > 0 {
			return fmt.Errorf("read model %s: only fields of es.PartsFrom are merged: leave out Sum, First and Last", d.Name)
		}
		return nil
	}
	if len(d.Indexes)+len(d.Sorts)+len(d.Searches) > 0 {
		return fmt.Errorf("read model %s: rows that merge parts are listed by their keys alone: leave out By, Sort and Search", d.Name)
	}
	if d.Access.Owner {
		return fmt.Errorf("read model %s: a row that merges many owners' parts has no owner: allow groups, or those who have signed in", d.Name)
	}
	fields, err := fieldOrders(d)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, merge := range d.Merges {
		o := fields[merge.Field]
		switch {
		case known[merge.Field]:
			return fmt.Errorf("read model %s: say once how %s is merged", d.Name, merge.Field)
		case merge.How == es.MergeSum && o != ByNumber:
			return fmt.Errorf("read model %s: %q can't be added up: only numbers and prices can", d.Name, merge.Field)
		case o != ByNumber && o != ByTime && o != ByTruth:
			return fmt.Errorf("read model %s: there is no first or last %q: only of numbers, prices, times and booleans", d.Name, merge.Field)
		}
		known[merge.Field] = true
	}
	for field := range fields {
		if !known[field] {
			return fmt.Errorf("read model %s: say how %s is merged: Sum, First or Last", d.Name, field)
		}
	}
	return nil
}

// parts are a stream's, by key, as they are stored in its head.
type parts map[string]json.RawMessage

// bringParts brings what a stream contributes up to date.
func (e *Engine) bringParts(ctx context.Context, m *model, id string, head Row, want catchUpTo) (lost bool, err error) {
	source := m.Sources[0]
	counted := parts{}
	if head.View != nil {
		if err := json.Unmarshal(head.View, &counted); err != nil {
			return false, fmt.Errorf("stored parts of %s in %s: %w", id, m.Name, err)
		}
	}
	afresh, err := e.itemsAfresh(ctx, m, id, head, want)
	if err != nil {
		return false, err
	}
	b := e.below(ctx, m, id)
	b.whole = true
	at := Position{}
	if !afresh {
		at = head.At[source]
		for key, view := range counted {
			if b.views[key], err = m.Decode(view); err != nil {
				return false, err
			}
		}
	}
	fold := func(c Commit) error {
		clear(b.changed)
		at = Position{Next: c.Seq + 1, Version: c.Version}
		return b.fold(c)
	}
	if !afresh && want.commit != nil && want.commit.Seq == at.Next {
		err = fold(*want.commit)
	} else {
		err = e.commits(ctx, Stream{source, id}, at.Next, fold)
	}
	if err != nil {
		return false, err
	}
	now := parts{}
	for key, view := range b.views {
		if view != nil {
			if now[key], err = m.Encode(view); err != nil {
				return false, fmt.Errorf("part %s of %s in %s: %w", key, id, m.Name, err)
			}
		}
	}
	var positions map[string]Position
	if at.Next > 0 {
		positions = map[string]Position{source: at}
	}
	return e.putParts(ctx, m, id, head, counted, now, positions)
}

// putParts writes the difference between the parts that are counted and those that are. The
// head says key by key what is counted, so that one that is unfinished is gone on with.
func (e *Engine) putParts(ctx context.Context, m *model, id string, head Row, counted, now parts, at map[string]Position) (lost bool, err error) {
	keys := slices.Concat(slices.Collect(maps.Keys(counted)), slices.Collect(maps.Keys(now)))
	slices.Sort(keys)
	keys = slices.DeleteFunc(slices.Compact(keys), func(key string) bool { return string(counted[key]) == string(now[key]) })
	if len(keys) == 0 && (untold(head, at) || maps.Equal(at, head.At) && (head.Made == m.declared || at == nil)) {
		return false, nil
	}
	head.Made = m.declared
	counted = maps.Clone(counted)
	for {
		var rows []Row
		var totals []Total
		n := 0
		for ; n < len(keys); n++ {
			key := keys[n]
			moved, total, err := m.difference(key, id, counted[key], now[key])
			if err != nil {
				return false, err
			}
			if n > 0 && len(rows)+len(moved)+len(totals)+1 > e.ItemsAtOnce {
				break
			}
			if rows = append(rows, moved...); total.Add != nil {
				totals = append(totals, total)
			}
			if counted[key] = now[key]; counted[key] == nil {
				delete(counted, key)
			}
		}
		head.Rev, head.At, head.View = head.Rev+1, nil, nil
		if n == len(keys) {
			head.At = at
		}
		if len(counted) > 0 {
			if head.View, err = json.Marshal(counted); err != nil {
				return false, fmt.Errorf("parts of %s in %s: %w", id, m.Name, err)
			}
		}
		if lost, err = e.Rows.PutItems(ctx, head, rows, totals); err != nil {
			return false, fmt.Errorf("write %d parts of %s in %s: %w", n, id, m.Name, err)
		}
		if lost || n == len(keys) {
			return lost, nil
		}
		keys = keys[n:]
	}
}

// difference is what changes below a key if a stream's part of it does; a nil part is none.
// A total that does not change has nothing to add.
func (m *model) difference(key, stream string, was, is json.RawMessage) (entries []Row, total Total, err error) {
	total = Total{Model: m.Name, ID: totalOf(key, stream), Add: map[string]string{}}
	of := func(view json.RawMessage) (fields map[string]json.RawMessage, n int64, err error) {
		if view == nil {
			return nil, 0, nil
		}
		if err := json.Unmarshal(view, &fields); err != nil {
			return nil, 0, fmt.Errorf("part %s of %s in %s: %w", key, stream, m.Name, err)
		}
		return fields, 1, nil
	}
	before, n, err := of(was)
	if err != nil {
		return nil, total, err
	}
	after, k, err := of(is)
	if err != nil {
		return nil, total, err
	}
	total.Add[countName] = decimal(big.NewRat(k-n, 1))
	for _, merge := range m.Merges {
		if merge.How == es.MergeSum {
			sum, err := number(after[merge.Field])
			if err != nil {
				return nil, total, fmt.Errorf("part %s of %s in %s: %s: %w", key, stream, m.Name, merge.Field, err)
			}
			less, err := number(before[merge.Field])
			if err != nil {
				return nil, total, fmt.Errorf("part %s of %s in %s: %s: %w", key, stream, m.Name, merge.Field, err)
			}
			total.Add[sumPrefix+merge.Field] = decimal(sum.Sub(sum, less))
			continue
		}
		entry := func(raw json.RawMessage) (id string, err error) {
			if raw == nil {
				return "", nil
			}
			value, err := orderKey(m.fields[merge.Field], raw, stream)
			return ItemID(key, entryPrefix(merge.Field)+entryEscape.Replace(value)), err
		}
		old, err := entry(before[merge.Field])
		if err != nil {
			return nil, total, err
		}
		now, err := entry(after[merge.Field])
		if err != nil {
			return nil, total, err
		}
		if old != now && old != "" {
			entries = append(entries, Row{Model: m.Name, ID: old})
		}
		if old != now && now != "" {
			entries = append(entries, Row{Model: m.Name, ID: now, View: after[merge.Field]})
		}
	}
	zero := func(_, n string) bool { return n == "0" }
	if maps.DeleteFunc(total.Add, zero); len(total.Add) == 0 {
		total.Add = nil
	}
	return entries, total, nil
}

// number reads a JSON number; nil is 0.
func number(raw json.RawMessage) (*big.Rat, error) {
	if raw == nil {
		return new(big.Rat), nil
	}
	n, ok := new(big.Rat).SetString(string(raw))
	if !ok {
		return nil, fmt.Errorf("%s is not a number", raw)
	}
	return n, nil
}

// decimal is an exact decimal number, as JSON has it.
func decimal(n *big.Rat) string {
	digits, _ := n.FloatPrec()
	return n.FloatString(digits)
}

// AddTo returns the view of the row of sums with the total added; nil: there was none.
func (t Total) AddTo(view json.RawMessage) (json.RawMessage, error) {
	sums := map[string]string{}
	if view != nil {
		if err := json.Unmarshal(view, &sums); err != nil {
			return nil, fmt.Errorf("stored total %q of %s: %w", t.ID, t.Model, err)
		}
	}
	for name, n := range t.Add {
		var err error
		if sums[name], err = addDecimals(sums[name], n); err != nil {
			return nil, fmt.Errorf("stored total %q of %s: %w", t.ID, t.Model, err)
		}
	}
	return json.Marshal(sums)
}

// addDecimals adds numbers as totals have them; an absent one is 0.
func addDecimals(a, b string) (string, error) {
	sum := new(big.Rat)
	for _, s := range []string{a, b} {
		if s == "" {
			continue
		}
		n, err := number(json.RawMessage(s))
		if err != nil {
			return "", err
		}
		sum.Add(sum, n)
	}
	return decimal(sum), nil
}

// merged returns the row of a key; without parts it is not found.
func (e *Engine) merged(ctx context.Context, m *model, key string) (Row, error) {
	row, err := e.merge(ctx, m, key)
	if err == nil && row.View == nil {
		err = ErrNotFound.Because("%s has no row %q", m.Name, key)
	}
	return row, err
}

// merge returns the row of a key, without a view where there are no parts: its totals, and
// of each field that keeps the first or the last, one entry.
func (e *Engine) merge(ctx context.Context, m *model, key string) (Row, error) {
	row := Row{Model: m.Name, ID: key}
	sums := map[string]string{}
	err := e.eachItem(ctx, ItemsQuery{Model: m.Name, ID: key, From: totalMark, To: totalEnd, Limit: TotalShards}, func(t Row) (err error) {
		var some map[string]string
		if err := json.Unmarshal(t.View, &some); err != nil {
			return fmt.Errorf("stored total %q of %s: %w", t.ID, m.Name, err)
		}
		for name, n := range some {
			if sums[name], err = addDecimals(sums[name], n); err != nil {
				return fmt.Errorf("stored total %q of %s: %w", t.ID, m.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return row, err
	}
	if n := sums[countName]; n == "" || n == "0" {
		return row, nil
	}
	view := []byte("{")
	add := func(field string, value []byte) {
		if len(view) > 1 {
			view = append(view, ',')
		}
		view = append(fmt.Appendf(view, "%q:", field), value...)
	}
	for _, merge := range m.Merges {
		if merge.How == es.MergeSum {
			add(merge.Field, []byte(cmp.Or(sums[sumPrefix+merge.Field], "0")))
			continue
		}
		prefix := entryPrefix(merge.Field)
		first, _, err := e.Rows.Items(ctx, ItemsQuery{
			Model: m.Name, ID: key, From: prefix, To: prefix[:len(prefix)-1] + ">", Descending: merge.How == es.MergeLast, Limit: 1,
		})
		if err != nil {
			return row, fmt.Errorf("%s %s of %s of %s: %w", merge.How, merge.Field, key, m.Name, err)
		}
		if len(first) > 0 {
			add(merge.Field, first[0].View)
		}
	}
	view = append(view, '}')
	row.View = view
	return row, nil
}

// listKeys returns a page of a keyed view's rows.
func (e *Engine) listKeys(ctx context.Context, m *model, q Query) (rows []Row, next string, err error) {
	keys, next, err := e.Rows.Keys(ctx, m.Name, q.Cursor, q.Limit)
	if err != nil {
		return nil, "", fmt.Errorf("list the keys of %s: %w", m.Name, err)
	}
	all := make([]Row, len(keys))
	errs := make([]error, len(keys))
	e.parallel(len(keys), func(i int) { all[i], errs[i] = e.merge(ctx, m, keys[i]) })
	if err := errors.Join(errs...); err != nil {
		return nil, "", err
	}
	for _, r := range all {
		if r.View != nil {
			rows = append(rows, r)
		}
	}
	return rows, next, nil
}
