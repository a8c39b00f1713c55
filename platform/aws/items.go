package aws

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// subMark begins the sort key of rows below streams: one must not be empty.
const subMark = "="

// rowKey is the key of a row's item.
func (s *store) rowKey(model, id string) item {
	if !s.models[model].items {
		return item{wiring.Key: str(id)}
	}
	of, subID := engine.SplitItemID(id)
	return item{wiring.Key: str(of), wiring.Sub: str(subMark + subID)}
}

func rowID(i item) string {
	id := text(i, wiring.Key)
	if sub := text(i, wiring.Sub); sub != "" {
		return engine.ItemID(id, sub[len(subMark):])
	}
	return id
}

// Items implements [engine.Rows] with one query.
func (s *store) Items(ctx context.Context, q engine.ItemsQuery) (rows []engine.Row, more bool, err error) {
	table, err := s.rows(q.Model)
	if err != nil {
		return nil, false, err
	}
	e := newExpression()
	key, sub := e.name(wiring.Key)+" = "+e.value(str(q.ID)), e.name(wiring.Sub)
	switch {
	case q.To != "":
		key += " AND " + sub + " BETWEEN " + e.value(str(subMark+q.From)) + " AND " + e.value(str(subMark+q.To)) // which no row has
	case q.From != "":
		key += " AND " + sub + " >= " + e.value(str(subMark+q.From))
	default:
		key += " AND " + sub + " > " + e.value(str(subMark))
	}
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: table, KeyConditionExpression: &key, ConsistentRead: awssdk.Bool(true), Limit: awssdk.Int32(int32(q.Limit + 1)), ScanIndexForward: awssdk.Bool(!q.Descending),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	if err != nil {
		return nil, false, failure(err)
	}
	rows, err = s.decodeRows(q.Model, out.Items)
	if len(rows) > q.Limit {
		return rows[:q.Limit], true, err
	}
	return rows, out.LastEvaluatedKey != nil, err
}

// PutItems implements [engine.Rows] with one transaction.
func (s *store) PutItems(ctx context.Context, head engine.Row, rows []engine.Row, totals []engine.Total) (lost bool, err error) {
	if len(rows)+len(totals) == 0 {
		return s.Put(ctx, head)
	}
	table, err := s.rows(head.Model)
	if err != nil {
		return false, err
	}
	write := func(row engine.Row, conditional bool) (types.TransactWriteItem, error) {
		key := s.rowKey(row.Model, row.ID)
		if row.View == nil && !conditional {
			return types.TransactWriteItem{Delete: &types.Delete{TableName: table, Key: key}}, nil
		}
		e := newExpression()
		update, err := s.rowUpdate(e, row)
		u := &types.Update{TableName: table, Key: key, UpdateExpression: &update}
		if conditional {
			u.ConditionExpression = awssdk.String(expected(e, row))
		}
		u.ExpressionAttributeNames, u.ExpressionAttributeValues = e.names, e.values
		return types.TransactWriteItem{Update: u}, err
	}
	items := make([]types.TransactWriteItem, 1+len(rows))
	if items[0], err = write(head, true); err != nil {
		return false, err
	}
	for n, row := range rows {
		if items[n+1], err = write(row, false); err != nil {
			return false, err
		}
	}
	for _, total := range totals {
		items = append(items, s.add(table, total))
	}
	failed, _, err := s.transact(ctx, items...)
	return failed == 0, err
}

// add lets DynamoDB add to the numbers of an item, which nobody has to read for that.
func (s *store) add(table *string, total engine.Total) types.TransactWriteItem {
	e := newExpression()
	var adds []string
	for _, name := range slices.Sorted(maps.Keys(total.Add)) {
		adds = append(adds, e.name(name)+" "+e.value(&types.AttributeValueMemberN{Value: total.Add[name]}))
	}
	key, _ := engine.SplitItemID(total.ID)
	update := "SET " + e.name(wiring.Shard) + " = " + e.value(str(shardOf(key))) + " ADD " + strings.Join(adds, ", ")
	return types.TransactWriteItem{Update: &types.Update{
		TableName: table, Key: s.rowKey(total.Model, total.ID), UpdateExpression: &update,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	}}
}

// sums is the view of a row of totals.
func sums(i item) (json.RawMessage, error) {
	numbers := map[string]string{}
	for name, v := range i {
		if n, ok := v.(*types.AttributeValueMemberN); ok && name != attrRev {
			numbers[name] = n.Value
		}
	}
	return json.Marshal(numbers)
}

// Keys implements [engine.Rows]: a page is of one partition of the index after the other.
// A key is in it as often as its totals have rows.
func (s *store) Keys(ctx context.Context, model, cursor string, limit int) (keys []string, next string, err error) {
	table, err := s.rows(model)
	if err != nil {
		return nil, "", err
	}
	q := engine.Query{Model: model, Field: wiring.Keys, Cursor: cursor}
	place, err := placeOf(q)
	if err != nil {
		return nil, "", err
	}
	shard, after, _ := strings.Cut(place, " ")
	first, _ := strconv.Atoi(shard) // placeCursor made it
	for n := first; n < wiring.Shards; n++ {
		var start item
		for more := true; more; more = start != nil {
			e := newExpression()
			condition := e.name(wiring.Shard) + " = " + e.value(str(strconv.Itoa(n)))
			if after != "" {
				condition += " AND " + e.name(wiring.Key) + " > " + e.value(str(after))
			}
			out, err := s.db.Query(ctx, &dynamodb.QueryInput{
				TableName: table, IndexName: awssdk.String(wiring.Keys), KeyConditionExpression: &condition, ExclusiveStartKey: start,
				Limit: awssdk.Int32(int32((limit - len(keys) + 1) * engine.TotalShards)), ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
			})
			if err != nil {
				return nil, "", failure(err)
			}
			for _, i := range out.Items {
				key := text(i, wiring.Key)
				if len(keys) > 0 && key == keys[len(keys)-1] {
					continue
				}
				if len(keys) == limit {
					return keys, placeCursor(q, strconv.Itoa(n)+" "+lastIn(n, keys)), nil
				}
				keys = append(keys, key)
			}
			start = out.LastEvaluatedKey
		}
		after = ""
	}
	return keys, "", nil
}

// lastIn is the last of the keys that is in that partition, if it is the last of all.
func lastIn(shard int, keys []string) string {
	if last := keys[len(keys)-1]; shardOf(last) == strconv.Itoa(shard) {
		return last
	}
	return ""
}
