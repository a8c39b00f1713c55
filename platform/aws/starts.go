package aws

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// starts implements [engine.Starts] with one item a plugin, among its cursors: when
// each follower began, "" with the first commit. A start never changes, and is read
// once.
type starts struct {
	*store
	clock engine.Clock
	known sync.Map // time.Time by follower
}

// margin is how long a commit may be on its way to the followers of a plugin where
// none has followed anything yet.
const margin = time.Minute

// Begin implements [engine.Starts].
func (s *starts) Begin(ctx context.Context, plugin string, b engine.Beginning) error {
	now := s.clock.Now().Truncate(time.Millisecond) // as commits' times are
	if !b.First.IsZero() && b.First.Before(now) {
		now = b.First
	}
	there, err := s.load(ctx, plugin)
	if err != nil {
		return err
	}
	followers := b.Followers
	if !there {
		followers = slices.Concat(followers, b.Others)
	}
	at := map[string]time.Time{}
	for _, f := range followers {
		if _, known := s.known.Load(f); !known {
			at[f] = now
		}
	}
	if there && len(at) == 0 {
		return nil
	}
	if !there {
		if at, err = s.before(ctx, plugin, at); err != nil {
			return err
		}
	}
	return s.keep(ctx, plugin, at)
}

// before are the starts in a plugin that has kept none: those of an earlier
// version's followers, which are known by their cursors, are the beginning.
func (s *starts) before(ctx context.Context, plugin string, followers map[string]time.Time) (map[string]time.Time, error) {
	table, err := s.cursors(plugin)
	if err != nil {
		return nil, err
	}
	at, left, young := maps.Clone(followers), len(followers), true
	e := newExpression()
	in := &dynamodb.ScanInput{TableName: table}
	projection := e.name(wiring.Key)
	in.ProjectionExpression, in.ExpressionAttributeNames = &projection, e.names
	for left > 0 {
		out, err := s.db.Scan(ctx, in)
		if err != nil {
			return nil, failure(err)
		}
		for _, i := range out.Items {
			follower, _, cursor := strings.Cut(text(i, wiring.Key), "\n")
			young = young && !cursor
			if was, ok := at[follower]; ok && !was.IsZero() {
				at[follower] = time.Time{}
				left--
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			break
		}
	}
	if young {
		for f, now := range at {
			at[f] = now.Add(-margin)
		}
	}
	return at, nil
}

// keep writes the starts, but for those that another has written.
func (s *starts) keep(ctx context.Context, plugin string, at map[string]time.Time) error {
	table, err := s.cursors(plugin)
	if err != nil {
		return err
	}
	e := newExpression()
	since := e.name(attrSince) // so that there is an item where there are no followers
	sets := []string{since + " = if_not_exists(" + since + ", " + e.value(str(formatStart(s.clock.Now()))) + ")"}
	n := 0
	for f, t := range at {
		name := "#f" + strconv.Itoa(n)
		e.names[name] = f
		sets = append(sets, name+" = if_not_exists("+name+", "+e.value(str(formatStart(t)))+")")
		n++
	}
	if _, err := s.update(ctx, table, startsKey, e, "SET "+strings.Join(sets, ", "), ""); err != nil {
		return err
	}
	_, err = s.load(ctx, plugin) // perhaps another's
	return err
}

// load reads the starts that are kept.
func (s *starts) load(ctx context.Context, plugin string) (there bool, err error) {
	table, err := s.cursors(plugin)
	if err != nil {
		return false, err
	}
	i, err := s.get(ctx, table, startsKey)
	if err != nil {
		return false, err
	}
	for name, v := range i {
		if v, ok := v.(*types.AttributeValueMemberS); ok && strings.Contains(name, ":") {
			t, _ := time.Parse(time.RFC3339Nano, v.Value) // "" is the beginning
			s.known.Store(name, t)
		}
	}
	return i != nil, nil
}

// Past implements [engine.Starts], by the commit's time: clocks of AWS differ by
// milliseconds.
func (s *starts) Past(ctx context.Context, follower string, _ engine.Stream, _ int64, committed time.Time) (bool, error) {
	began, known := s.known.Load(follower)
	if !known {
		if _, err := s.load(ctx, engine.ParseConsumer(follower).Plugin()); err != nil {
			return false, err
		}
		if began, known = s.known.Load(follower); !known {
			return false, nil
		}
	}
	return committed.Before(began.(time.Time)), nil
}

var startsKey = item{wiring.Key: str(wiring.StartsKey)}

func formatStart(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
