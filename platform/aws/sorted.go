package aws

import (
	"context"
	"encoding/base64"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

func shardOf(id string) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return strconv.Itoa(int(h.Sum32() % wiring.Shards))
}

// words is the condition that a row has the query's words; "" where it has none.
func (s *store) words(e *expression, q engine.Query) (filter string) {
	for _, w := range q.Words {
		filter += " AND contains(" + e.name(attrWords) + ", " + e.value(str(" "+w)) + ")"
	}
	return filter
}

// sortedPages is how many pages, each larger than the one before and of up to 1 MB, a page
// of a sorted list reads at most in each shard. Tests let it read less.
var sortedPages = 6

// shard is one partition of a sort's index, on the way through it.
type shard struct {
	name  string
	spans []engine.Span // that are not read to their end; the first one from start on
	start item
	rows  []engine.Row // that are read and not taken
	pages int
	upTo  string // the place to which it is read
}

// tired says that it may have more to read, which this page does not wait for.
func (sh *shard) tired() bool {
	return len(sh.rows) == 0 && len(sh.spans) > 0 && sh.pages == sortedPages
}

// listSorted lists rows in the order of a sort. An owner's rows, or those with a field's
// value, are read and sorted if there are not too many. Otherwise there are so many that
// they are soon found in the sort's index.
func (s *store) listSorted(ctx context.Context, table *string, q engine.Query) (rows []engine.Row, next string, err error) {
	after, err := placeOf(q)
	if err != nil {
		return nil, "", err
	}
	if q.Owner != "" || q.Field != "" {
		few, err := s.gather(ctx, q)
		if err != nil {
			return nil, "", err
		}
		if few != nil {
			rows, next = firstPage(q, after, few)
			return rows, next, nil
		}
	}
	return s.merge(ctx, table, q, after)
}

// gather returns the rows that the query selects, in order, by the index of its owner or
// field; nil: they are too many.
func (s *store) gather(ctx context.Context, q engine.Query) (rows []engine.Row, err error) {
	all := q
	all.Sort, all.Descending, all.From, all.To, all.Cursor, all.Limit = "", false, "", "", "", manyRows
	for range siftPages {
		page, next, err := s.List(ctx, all)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			if q.Matches(r) {
				rows = append(rows, r)
			}
		}
		if all.Cursor = next; next == "" {
			slices.SortFunc(rows, func(a, b engine.Row) int { return q.Compare(q.Key(a), q.Key(b)) })
			return append([]engine.Row{}, rows...), nil
		}
	}
	return nil, nil
}

// manyRows is more than a page of 1 MB has.
const manyRows = 10_000

// firstPage returns the page of the rows after that place.
func firstPage(q engine.Query, after string, found []engine.Row) (rows []engine.Row, next string) {
	size := 0
	for _, row := range found {
		if after != "" && q.Compare(q.Key(row), after) <= 0 {
			continue
		}
		if len(rows) == q.Limit || size >= pageBytes {
			return rows, placeCursor(q, q.Key(rows[len(rows)-1]))
		}
		rows, size = append(rows, row), size+len(row.View)
	}
	return rows, ""
}

// pageBytes is where a page of rows ends.
const pageBytes = 1 << 20

// merge lists rows by the sort's index, whose shards it merges. What a filter or search
// leaves out is read and passed over. Where that takes too long, a page ends before it is
// full.
func (s *store) merge(ctx context.Context, table *string, q engine.Query, after string) (rows []engine.Row, next string, err error) {
	shards := make([]*shard, wiring.Shards)
	for i := range shards {
		shards[i] = &shard{name: strconv.Itoa(i), spans: q.Spans(after), upTo: after}
	}
	for size := 0; ; {
		group, inner := errgroup.WithContext(ctx)
		for _, sh := range shards {
			if len(sh.rows) == 0 && len(sh.spans) > 0 && !sh.tired() {
				group.Go(func() error { return s.readShard(inner, table, q, after, sh) })
			}
		}
		if err := group.Wait(); err != nil {
			return nil, "", err
		}
		var first, tired *shard
		for _, sh := range shards {
			if len(sh.rows) > 0 && (first == nil || q.Compare(q.Key(sh.rows[0]), q.Key(first.rows[0])) < 0) {
				first = sh
			}
			if sh.tired() && (tired == nil || q.Compare(sh.upTo, tired.upTo) < 0) {
				tired = sh
			}
		}
		switch {
		case tired != nil && (first == nil || q.Compare(q.Key(first.rows[0]), tired.upTo) > 0):
			return rows, placeCursor(q, tired.upTo), nil // what comes next is not known
		case first == nil:
			return rows, "", nil
		case len(rows) == q.Limit || size >= pageBytes:
			return rows, placeCursor(q, q.Key(rows[len(rows)-1])), nil
		}
		rows, size = append(rows, first.rows[0]), size+len(first.rows[0].View)
		first.rows = first.rows[1:]
	}
}

// readShard reads on until there is a row, or no more, or it is tired.
func (s *store) readShard(ctx context.Context, table *string, q engine.Query, after string, sh *shard) error {
	index := wiring.Sort(q.Sort)
	for len(sh.rows) == 0 && len(sh.spans) > 0 && !sh.tired() {
		span := sh.spans[0]
		e := newExpression()
		key := e.name(wiring.Shard) + " = " + e.value(str(sh.name)) +
			" AND " + e.name(index) + " BETWEEN " + e.value(str(span.From)) + " AND " + e.value(str(span.To))
		filter := "attribute_exists(" + e.name(attrView) + ")" + s.words(e, q)
		if q.Owner != "" {
			filter += " AND " + e.name(wiring.Owner) + " = " + e.value(str(q.Owner))
		}
		if q.Field != "" {
			filter += " AND " + e.name(wiring.Index(q.Field)) + " = " + e.value(str(q.Value))
		}
		limit := (2*q.Limit/wiring.Shards + 2) << (2 * sh.pages)
		out, err := s.db.Query(ctx, &dynamodb.QueryInput{
			TableName: table, IndexName: &index, ExclusiveStartKey: sh.start, Limit: awssdk.Int32(int32(limit)), ScanIndexForward: awssdk.Bool(!q.Descending),
			KeyConditionExpression: &key, FilterExpression: &filter, ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		})
		if err != nil {
			return failure(err)
		}
		found, err := s.decodeRows(q.Model, out.Items)
		if err != nil {
			return err
		}
		for _, r := range found {
			// A span's end is not in it, where DynamoDB's BETWEEN has both.
			if after == "" || q.Compare(q.Key(r), after) > 0 {
				sh.rows = append(sh.rows, r)
			}
		}
		sh.pages++
		if sh.start = out.LastEvaluatedKey; sh.start != nil {
			sh.upTo = text(sh.start, index)
			continue
		}
		if sh.spans, sh.upTo = sh.spans[1:], span.To; q.Descending {
			sh.upTo = span.From
		}
	}
	return nil
}

// placeCursor names a place in the query's order, for the next page of the same query.
func placeCursor(q engine.Query, place string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(q.Identity() + " after " + place))
}

// placeOf is the place that a query's cursor names, or [engine.ErrCursor].
func placeOf(q engine.Query) (string, error) {
	if q.Cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	place, ok := strings.CutPrefix(string(b), q.Identity()+" after ")
	if err != nil || !ok || place == "" {
		return "", engine.ErrCursor
	}
	return place, nil
}
