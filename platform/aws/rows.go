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
	i, err := s.get(ctx, table, item{wiring.Key: str(id)})
	if err != nil {
		return engine.Row{}, err
	}
	row, err := s.decodeRow(model, i)
	row.ID = id
	return row, err
}

func (s *store) decodeRow(model string, i item) (engine.Row, error) {
	row := engine.Row{
		Model: model, ID: text(i, wiring.Key), Owner: text(i, wiring.Owner), Rev: number(i, attrRev),
	}
	if v := text(i, attrView); v != "" {
		row.View = json.RawMessage(v)
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
	rev := e.name(attrRev)
	condition := "attribute_not_exists(" + rev + ")"
	if row.Rev > 1 {
		condition = rev + " = " + e.value(num(row.Rev-1))
	}
	sets, removes := []string{rev + " = " + e.value(num(row.Rev))}, []string{}
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
		if at, err = json.Marshal(row.At); err != nil {
			return false, fmt.Errorf("positions of row %s of %s: %w", row.ID, row.Model, err)
		}
	}
	keep(attrView, string(row.View))
	keep(attrAt, string(at))
	keep(wiring.Owner, owner)
	for _, field := range s.models[row.Model].indexes {
		value := row.Indexed[field]
		if row.View == nil || len(value) > maxIndexed {
			value = ""
		}
		keep(wiring.Index(field), value)
	}
	update := "SET " + strings.Join(sets, ", ")
	if len(removes) > 0 {
		update += " REMOVE " + strings.Join(removes, ", ")
	}
	ok, err := s.update(ctx, table, item{wiring.Key: str(row.ID)}, e, update, condition)
	return err == nil && !ok, err
}

// List implements [engine.Rows]: a page is what DynamoDB finds by the query's
// index, or in the whole table, up to the limit and 1 MB. A query with an owner
// looks at that owner's rows alone, of which it leaves out those without the value.
func (s *store) List(ctx context.Context, q engine.Query) (rows []engine.Row, next string, err error) {
	table, err := s.rows(q.Model)
	if err != nil {
		return nil, "", err
	}
	belongs := fmt.Sprintf("%q %q %q %q", q.Model, q.Field, q.Value, q.Owner)
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
			filter += " AND " + e.name(wiring.Index(q.Field)) + " = " + e.value(str(q.Value))
			return s.sift(ctx, q, belongs, &dynamodb.QueryInput{
				TableName: table, IndexName: &index, ExclusiveStartKey: start, KeyConditionExpression: &key, FilterExpression: &filter,
				ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
			})
		}
	case q.Field != "":
		index = wiring.Index(q.Field)
		key = e.name(index) + " = " + e.value(str(q.Value))
	}
	var found []item
	var last item
	if index == "" {
		in := &dynamodb.ScanInput{
			TableName: table, ExclusiveStartKey: start, Limit: awssdk.Int32(int32(q.Limit)),
			FilterExpression: &filter, ExpressionAttributeNames: e.names,
		}
		out, err := s.db.Scan(ctx, in)
		if err != nil {
			return nil, "", failure(err)
		}
		found, last = out.Items, out.LastEvaluatedKey
	} else {
		out, err := s.db.Query(ctx, &dynamodb.QueryInput{
			TableName: table, IndexName: &index, ExclusiveStartKey: start, Limit: awssdk.Int32(int32(q.Limit)),
			KeyConditionExpression: &key, FilterExpression: &filter,
			ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		})
		if err != nil {
			return nil, "", failure(err)
		}
		found, last = out.Items, out.LastEvaluatedKey
	}
	rows, err = s.decodeRows(q.Model, found)
	return rows, encodeCursor(belongs, last), err
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

// siftPages is how many pages of up to 1 MB a list by owner and field reads at most
// to fill its own.
const siftPages = 4

// sift lists an owner's rows that pass the filter. It reads on until the page is
// full and another row is found, so that there is no cursor where nothing follows.
func (s *store) sift(ctx context.Context, q engine.Query, belongs string, in *dynamodb.QueryInput) (rows []engine.Row, next string, err error) {
	for range siftPages {
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return nil, "", failure(err)
		}
		page, err := s.decodeRows(q.Model, out.Items)
		if err != nil {
			return nil, "", err
		}
		if rows = append(rows, page...); len(rows) > q.Limit {
			rows = rows[:q.Limit]
			last := item{wiring.Key: str(rows[q.Limit-1].ID), wiring.Owner: str(q.Owner)}
			return rows, encodeCursor(belongs, last), nil
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			break
		}
	}
	return rows, encodeCursor(belongs, in.ExclusiveStartKey), nil
}
