package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// Row implements [engine.Rows].
func (s *store) Row(ctx context.Context, model, id string) (engine.Row, error) {
	table, err := s.rows(model)
	if err != nil {
		return engine.Row{}, err
	}
	i, err := s.get(ctx, table, s.rowKey(model, id))
	if err != nil {
		return engine.Row{}, err
	}
	row, err := s.decodeRow(model, i)
	row.ID = id
	return row, err
}

func (s *store) decodeRow(model string, i item) (engine.Row, error) {
	row := engine.Row{
		Model: model, ID: rowID(i), Owner: text(i, wiring.Owner), Rev: number(i, attrRev), Made: number(i, attrMade),
	}
	if v := text(i, attrView); v != "" {
		row.View = json.RawMessage(v)
	}
	if s.models[model].keyed && engine.IsTotal(strings.TrimPrefix(text(i, wiring.Sub), subMark)) {
		var err error
		if row.View, err = sums(i); err != nil {
			return row, fmt.Errorf("stored totals of row %s of %s: %w", row.ID, model, err)
		}
	}
	if at := text(i, attrAt); at != "" {
		if err := json.Unmarshal([]byte(at), &row.At); err != nil {
			return row, fmt.Errorf("stored positions of row %s of %s: %w", row.ID, model, err)
		}
	}
	for _, field := range s.models[model].indexes {
		if v := text(i, wiring.Index(field)); v != "" {
			if row.Indexed == nil {
				row.Indexed = map[string]string{}
			}
			row.Indexed[field] = v
		}
	}
	for _, field := range s.models[model].sorts {
		if k := text(i, wiring.Sort(field)); k != "" {
			if row.Sorted == nil {
				row.Sorted = map[string]string{}
			}
			row.Sorted[field] = k
		}
	}
	row.Words = strings.Fields(text(i, attrWords))
	return row, nil
}

// maxIndexed is how many bytes a value may have to be found by it; nobody can
// ask for a longer one. DynamoDB's own bound is 2,048.
const maxIndexed = 1024

// Put implements [engine.Rows].
func (s *store) Put(ctx context.Context, row engine.Row) (lost bool, err error) {
	table, err := s.rows(row.Model)
	if err != nil {
		return false, err
	}
	e := newExpression()
	update, err := s.rowUpdate(e, row)
	if err != nil {
		return false, err
	}
	ok, err := s.update(ctx, table, s.rowKey(row.Model, row.ID), e, update, expected(e, row))
	return err == nil && !ok, err
}

// expected is the condition that the stored row has the revision before the row's.
func expected(e *expression, row engine.Row) string {
	if row.Rev > 1 {
		return e.name(attrRev) + " = " + e.value(num(row.Rev-1))
	}
	return "attribute_not_exists(" + e.name(attrRev) + ")"
}

// rowUpdate is the expression that makes an item the row.
func (s *store) rowUpdate(e *expression, row engine.Row) (string, error) {
	sets, removes := []string{e.name(attrRev) + " = " + e.value(num(row.Rev))}, []string{}
	keep := func(attribute, value string) {
		if value == "" {
			removes = append(removes, e.name(attribute))
		} else {
			sets = append(sets, e.name(attribute)+" = "+e.value(str(value)))
		}
	}
	at, owner := []byte{}, ""
	if row.View != nil { // an absent row keeps its revision alone
		owner = row.Owner
	}
	if len(row.At) > 0 && (row.View != nil || s.models[row.Model].items) {
		var err error
		if at, err = json.Marshal(row.At); err != nil {
			return "", fmt.Errorf("positions of row %s of %s: %w", row.ID, row.Model, err)
		}
	}
	keep(attrView, string(row.View))
	keep(attrAt, string(at))
	keep(wiring.Owner, owner)
	if row.Made == 0 {
		removes = append(removes, e.name(attrMade))
	} else {
		sets = append(sets, e.name(attrMade)+" = "+e.value(num(row.Made)))
	}
	for _, field := range s.models[row.Model].indexes {
		value := row.Indexed[field]
		if row.View == nil || len(value) > maxIndexed {
			value = ""
		}
		keep(wiring.Index(field), value)
	}
	if t := s.models[row.Model]; len(t.sorts) > 0 {
		shard := ""
		if row.View != nil {
			shard = shardOf(row.ID)
		}
		keep(wiring.Shard, shard)
		for _, field := range t.sorts {
			if row.View == nil {
				keep(wiring.Sort(field), "")
			} else {
				keep(wiring.Sort(field), row.Sorted[field])
			}
		}
	}
	if s.models[row.Model].searched {
		words := ""
		if len(row.Words) > 0 && row.View != nil {
			words = " " + strings.Join(row.Words, " ")
		}
		keep(attrWords, words)
	}
	update := "SET " + strings.Join(sets, ", ")
	if len(removes) > 0 {
		update += " REMOVE " + strings.Join(removes, ", ")
	}
	return update, nil
}

// List implements [engine.Rows]: a page is what DynamoDB finds by the query's
// index, or in the whole table, up to the limit and 1 MB. A query with an owner
// looks at that owner's rows alone, of which it leaves out those without the value.
func (s *store) List(ctx context.Context, q engine.Query) (rows []engine.Row, next string, err error) {
	table, err := s.rows(q.Model)
	if err != nil {
		return nil, "", err
	}
	if q.Sort != "" {
		return s.listSorted(ctx, table, q)
	}
	belongs := q.Identity()
	start, err := decodeCursor(belongs, q.Cursor)
	if err != nil {
		return nil, "", err
	}
	e := newExpression()
	var index, key string
	filter := "attribute_exists(" + e.name(attrView) + ")"
	switch {
	case q.Owner != "" && !s.models[q.Model].owned:
		return nil, "", fmt.Errorf("list %s by owner: it is not listed by owner", q.Model)
	case q.Owner != "":
		index = wiring.Owner
		key = e.name(wiring.Owner) + " = " + e.value(str(q.Owner))
		if q.Field != "" {
			filter += " AND " + e.name(wiring.Index(q.Field)) + " = " + e.value(str(q.Value)) + s.words(e, q)
			return s.sift(ctx, q, belongs, &dynamodb.QueryInput{
				TableName: table, IndexName: &index, ExclusiveStartKey: start, KeyConditionExpression: &key, FilterExpression: &filter,
				ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
			})
		}
	case q.Field != "":
		index = wiring.Index(q.Field)
		key = e.name(index) + " = " + e.value(str(q.Value))
	}
	if len(q.Words) > 0 {
		filter += s.words(e, q)
		return s.sift(ctx, q, belongs, &dynamodb.QueryInput{
			TableName: table, IndexName: orNil(index), ExclusiveStartKey: start, KeyConditionExpression: orNil(key), FilterExpression: &filter,
			ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		})
	}
	found, last, err := s.page(ctx, &dynamodb.QueryInput{
		TableName: table, IndexName: orNil(index), ExclusiveStartKey: start, Limit: awssdk.Int32(int32(q.Limit)),
		KeyConditionExpression: orNil(key), FilterExpression: &filter,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	if err != nil {
		return nil, "", err
	}
	rows, err = s.decodeRows(q.Model, found)
	return rows, encodeCursor(belongs, last), err
}

// page is a query, or where it has no index, a scan of the table.
func (s *store) page(ctx context.Context, in *dynamodb.QueryInput) (found []item, last item, err error) {
	if in.IndexName != nil {
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return nil, nil, failure(err)
		}
		return out.Items, out.LastEvaluatedKey, nil
	}
	scan := &dynamodb.ScanInput{
		TableName: in.TableName, ExclusiveStartKey: in.ExclusiveStartKey, Limit: in.Limit,
		FilterExpression: in.FilterExpression, ExpressionAttributeNames: in.ExpressionAttributeNames,
	}
	if len(in.ExpressionAttributeValues) > 0 { // none is not allowed to be empty
		scan.ExpressionAttributeValues = in.ExpressionAttributeValues
	}
	out, err := s.db.Scan(ctx, scan)
	if err != nil {
		return nil, nil, failure(err)
	}
	return out.Items, out.LastEvaluatedKey, nil
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (s *store) decodeRows(model string, found []item) (rows []engine.Row, err error) {
	for _, i := range found {
		row, err := s.decodeRow(model, i)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// siftPages is how many pages of up to 1 MB a list by owner and field, or a search, reads at most
// to fill its own.
const siftPages = 4

// sift lists rows that pass the filter. It reads on until the page is
// full and another row is found, so that there is no cursor where nothing follows.
func (s *store) sift(ctx context.Context, q engine.Query, belongs string, in *dynamodb.QueryInput) (rows []engine.Row, next string, err error) {
	for range siftPages {
		found, next, err := s.page(ctx, in)
		if err != nil {
			return nil, "", err
		}
		page, err := s.decodeRows(q.Model, found)
		if err != nil {
			return nil, "", err
		}
		if rows = append(rows, page...); len(rows) > q.Limit {
			rows = rows[:q.Limit]
			last := s.rowKey(q.Model, rows[q.Limit-1].ID)
			switch {
			case q.Owner != "":
				last[wiring.Owner] = str(q.Owner)
			case q.Field != "":
				last[wiring.Index(q.Field)] = str(q.Value)
			}
			return rows, encodeCursor(belongs, last), nil
		}
		if in.ExclusiveStartKey = next; next == nil {
			break
		}
	}
	return rows, encodeCursor(belongs, in.ExclusiveStartKey), nil
}
