package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/portable"
)

// Restore returns the platform's tables as a [portable.Target]. No function may run
// meanwhile: one remembers streams, and when followers began, as they were.
func (p *Platform) Restore() portable.Target {
	return &restore{Platform: p, tables: map[string]*string{}}
}

// restore is a restore in progress. What it is of, and how far it is, stands among the first
// plugin's cursors until functions run on it.
type restore struct {
	*Platform
	id     string
	done   int64
	tables map[string]*string // of events, by plugin
}

var restoreKey = item{wiring.Key: str(wiring.RestoreKey)}

// ErrUnchanged marks a refusal: nothing was written.
var ErrUnchanged = errors.New("nothing was changed")

// Restorable returns an [ErrUnchanged] unless the file of that id can be restored into the
// platform's tables: they are empty, or have an unfinished restore of it, which is resumed.
// whole says that all of it is there, and was not yet opened: see [Platform.Opened].
func (p *Platform) Restorable(ctx context.Context, id string) (whole bool, err error) {
	mark, err := p.restorable(ctx, id)
	return mark != nil && mark[attrState] != nil, err
}

// restorable also returns the mark of a restore that is resumed.
func (p *Platform) restorable(ctx context.Context, id string) (mark item, err error) {
	table, err := p.store.cursors(p.Plugins[0].Name)
	if err != nil {
		return nil, err
	}
	mark, err = p.store.get(ctx, table, restoreKey)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnchanged, err)
	case mark != nil && text(mark, attrName) != id:
		return nil, fmt.Errorf("%w: another file was being restored into this stack, and that has not come to its end: restore it again, or deploy a fresh stack", ErrUnchanged)
	case mark != nil:
		return mark, nil
	}
	for _, x := range p.Plugins {
		if err := p.empty(ctx, x.Name); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnchanged, err)
		}
	}
	return nil, nil
}

// Opened is told when functions run on what was restored, and brought it up to date. Until
// then whoever was killed can do that again, and nothing else.
func (p *Platform) Opened(ctx context.Context) error {
	table, err := p.store.cursors(p.Plugins[0].Name)
	if err != nil {
		return err
	}
	return again(ctx, func() error {
		_, err := p.store.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: table, Key: restoreKey})
		return failure(err)
	})
}

// Begin implements [portable.Target].
func (r *restore) Begin(ctx context.Context, id string) (done int64, err error) {
	mark, err := r.restorable(ctx, id)
	switch {
	case err != nil:
		return 0, err
	case mark != nil && mark[attrState] != nil: // whose followers may be further by now
		return 0, fmt.Errorf("%w: all of it is there", ErrUnchanged)
	case mark != nil:
		r.id, r.done = id, number(mark, attrNext)
		return r.done, nil
	}
	r.id, r.done = id, 0
	return 0, r.note(ctx, false)
}

// empty returns an error if the plugin has commits, or its followers have acted on some.
func (p *Platform) empty(ctx context.Context, plugin string) error {
	events, err1 := p.store.events(plugin)
	cursors, err2 := p.store.cursors(plugin)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	out, err := p.store.db.Scan(ctx, &dynamodb.ScanInput{TableName: events, Limit: awssdk.Int32(1), ConsistentRead: awssdk.Bool(true)})
	if err != nil {
		return failure(err)
	}
	used := len(out.Items) > 0
	err = p.store.eachItem(ctx, cursors, 0, 1, func(i item) error {
		if used = used || strings.Contains(text(i, wiring.Key), "\n"); used {
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return err
	}
	if used {
		return fmt.Errorf("the stack is not empty: %s has a history; a shop is restored into a stack that has none", plugin)
	}
	return nil
}

var errStop = errors.New("stop")

// note writes how far it is, and whether that is all.
func (r *restore) note(ctx context.Context, whole bool) error {
	table, err := r.store.cursors(r.Plugins[0].Name)
	if err != nil {
		return err
	}
	i := item{attrName: str(r.id), attrNext: num(r.done)}
	i[wiring.Key] = restoreKey[wiring.Key]
	if whole {
		i[attrState] = str("whole")
	}
	return again(ctx, func() error {
		_, err := r.store.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: i})
		return failure(err)
	})
}

// puts are items to be written, by table and key: of two with one key the later one holds.
type puts map[string]map[string]item

func (p puts) add(table *string, key string, i item) {
	if p[*table] == nil {
		p[*table] = map[string]item{}
	}
	p[*table][key] = i
}

// Keep implements [portable.Target]. What is of a plugin that is not here has nobody to
// follow it, and is left out.
func (r *restore) Keep(ctx context.Context, lines []portable.Line) error {
	all := puts{}
	var marks []*engine.Parked
	for _, l := range lines {
		switch {
		case l.Cursor != nil:
			if table, err := r.store.cursors(engine.ParseConsumer(l.Cursor.Consumer).Plugin()); err == nil {
				i := cursorKey(l.Cursor.Consumer, l.Cursor.Stream)
				key := text(i, wiring.Key)
				i[attrNext] = num(l.Cursor.Next)
				all.add(table, key, i)
			}
		case l.Rejection != nil:
			if table, err := r.store.rejections(l.Rejection.Command.Origin); err == nil {
				i := attributesOf(*l.Rejection)
				i[wiring.Key] = rejectionKey(l.Rejection.Command)[wiring.Key]
				all.add(table, text(i, wiring.Key), i)
			}
		case l.Schedule != nil:
			if table, err := r.store.cursors(naming.Plugin(l.Schedule.Name)); err == nil {
				data, err := json.Marshal(l.Schedule)
				if err != nil {
					return fmt.Errorf("schedule %s: %w", l.Schedule.Name, err)
				}
				i := scheduleKey(l.Schedule.Name)
				i[attrRev], i[attrState] = num(l.Schedule.Rev), str(string(data))
				all.add(table, text(i, wiring.Key), i)
			}
		case l.Parked != nil:
			if table, err := r.store.parked(engine.ParseConsumer(l.Parked.Consumer).Plugin()); err == nil {
				i := parkedItem(*l.Parked)
				all.add(table, text(i, wiring.Consumer)+"\n"+text(i, wiring.Stream), i)
				marks = append(marks, l.Parked)
			}
		case l.Key != nil:
			if err := r.key(ctx, *l.Key); err != nil {
				return fmt.Errorf("keep the key of %s: %w", l.Key.Stream, err)
			}
		case l.Start != nil:
			if err := r.start(ctx, *l.Start); err != nil {
				return err
			}
		}
	}
	if err := r.write(ctx, all); err != nil {
		return err
	}
	for _, k := range marks {
		if err := again(ctx, func() error { return r.store.mark(ctx, k.Consumer, k.Stream, true) }); err != nil {
			return err
		}
	}
	return nil
}

// key keeps the key of a stream that has none. Whoever was erased stays so.
func (r *restore) key(ctx context.Context, k portable.Key) error {
	table, err := r.store.keys(k.Stream)
	if err != nil {
		return err
	}
	i := item{wiring.Key: str(k.Stream.String())}
	if len(k.Key) > 0 {
		i[attrData] = &types.AttributeValueMemberB{Value: k.Key}
	}
	return again(ctx, func() error {
		_, err := r.store.db.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: table, Item: i,
			ConditionExpression: awssdk.String("attribute_not_exists(#key)"), ExpressionAttributeNames: map[string]string{"#key": wiring.Key},
		})
		if there := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &there) {
			return nil
		}
		return failure(err)
	})
}

// start keeps when a follower began, whatever the stack took for it since it was deployed.
func (r *restore) start(ctx context.Context, s portable.Start) error {
	plugin := engine.ParseConsumer(s.Follower).Plugin()
	if !r.has(plugin) {
		return nil // nobody's
	}
	table, err := r.store.cursors(plugin)
	if err != nil {
		return err
	}
	e := newExpression()
	since := e.name(attrSince)
	e.names["#f"] = s.Follower
	update := "SET " + since + " = if_not_exists(" + since + ", " + e.value(str(formatStart(r.clock.Now()))) + "), #f = " + e.value(str(formatStart(s.Since)))
	return again(ctx, func() error {
		_, err := r.store.update(ctx, table, startsKey, e, update, "")
		return err
	})
}

// parkedItem is a parked key as it is stored.
func parkedItem(p engine.Parked) item {
	i := parkedKey(p.Consumer, p.Stream)
	i[attrName], i[attrError], i[attrLast] = str(p.Stream.String()), str(p.Error), str(formatLast(p))
	i[attrSince], i[attrAttempts] = str(p.Since.UTC().Format(time.RFC3339Nano)), num(int64(p.Attempts))
	return i
}

// Append implements [portable.Target]: all of the commits are there before the next ones are.
func (r *restore) Append(ctx context.Context, commits []portable.Commit) error {
	if err := r.put(ctx, commits); err != nil {
		return err
	}
	return r.note(ctx, false)
}

// put writes commits, and counts them.
func (r *restore) put(ctx context.Context, commits []portable.Commit) error {
	all := puts{}
	for _, c := range commits {
		plugin := naming.Plugin(c.Stream.Aggregate)
		table := r.tables[plugin]
		if table == nil {
			var err error
			if table, err = r.store.events(plugin); err != nil {
				return err
			}
			r.tables[plugin] = table
		}
		all.add(table, fmt.Sprint(c.Stream, " ", c.Seq), commitItem(c.Stream, c.Seq, c.Version, c.Events, c.Meta, c.Hash))
	}
	if err := r.write(ctx, all); err != nil {
		return err
	}
	r.done += int64(len(commits))
	return nil
}

// End implements [portable.Target].
func (r *restore) End(ctx context.Context) error { return r.note(ctx, true) }

// writers is how many batches are written at a time.
const writers = 16

// write writes all of the items.
func (r *restore) write(ctx context.Context, all puts) error {
	const most = 25 // that DynamoDB takes in a batch
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(writers)
	for table, items := range all {
		var batch []types.WriteRequest
		flush := func() {
			requests := map[string][]types.WriteRequest{table: batch}
			batch = nil
			work.Go(func() error { return r.batch(ctx, requests) })
		}
		for _, i := range items {
			if batch = append(batch, types.WriteRequest{PutRequest: &types.PutRequest{Item: i}}); len(batch) == most {
				flush()
			}
		}
		if len(batch) > 0 {
			flush()
		}
	}
	return work.Wait()
}

// batch writes a batch, and what DynamoDB leaves of it.
func (r *restore) batch(ctx context.Context, requests map[string][]types.WriteRequest) error {
	return again(ctx, func() error {
		out, err := r.store.db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: requests})
		if err != nil {
			return failure(err)
		}
		if requests = out.UnprocessedItems; len(requests) > 0 {
			return fmt.Errorf("%w: the table is throttled", engine.ErrUnavailable)
		}
		return nil
	})
}
