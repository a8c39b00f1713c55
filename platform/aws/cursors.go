package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// cursorKey is a follower's place in a stream.
func cursorKey(consumer string, s engine.Stream) item {
	return item{wiring.Key: str(consumer + "\n" + s.String())}
}

// Cursor implements [engine.Cursors].
func (s *store) Cursor(ctx context.Context, consumer string, st engine.Stream) (engine.Cursor, error) {
	table, err := s.cursors(engine.ParseConsumer(consumer).Plugin())
	if err != nil {
		return engine.Cursor{}, err
	}
	i, err := s.get(ctx, table, cursorKey(consumer, st))
	return engine.Cursor{Next: number(i, attrNext), Parked: i[attrParked] != nil}, err
}

// Advance implements [engine.Cursors].
func (s *store) Advance(ctx context.Context, consumer string, st engine.Stream, from, to int64) error {
	table, err := s.cursors(engine.ParseConsumer(consumer).Plugin())
	if err != nil {
		return err
	}
	e := newExpression()
	next := e.name(attrNext)
	condition := next + " = " + e.value(num(from))
	if from == 0 {
		condition += " OR attribute_not_exists(" + next + ")"
	}
	_, err = s.update(ctx, table, cursorKey(consumer, st), e, "SET "+next+" = "+e.value(num(to)), condition)
	return err
}

// Snapshot implements [engine.Snapshots]; there is none where no table is wired.
func (s *store) Snapshot(ctx context.Context, st engine.Stream) ([]byte, error) {
	table := s.Plugins[naming.Plugin(st.Aggregate)].Snapshots
	if table == "" {
		return nil, nil
	}
	// An older one does: the log has what came since.
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: item{wiring.Key: str(st.String())}})
	if err != nil {
		return nil, failure(err)
	}
	if b, ok := out.Item[attrData].(*types.AttributeValueMemberB); ok {
		return b.Value, nil
	}
	return nil, nil
}

// SaveSnapshot implements [engine.Snapshots].
func (s *store) SaveSnapshot(ctx context.Context, st engine.Stream, data []byte) error {
	const maxBytes = 390 << 10 // an item with its key has at most maxItem
	table := s.Plugins[naming.Plugin(st.Aggregate)].Snapshots
	switch {
	case table == "":
		return nil
	case data == nil:
		_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: item{wiring.Key: str(st.String())}})
		return failure(err)
	case len(data) > maxBytes:
		return fmt.Errorf("snapshot of %s: it has %d bytes, a snapshot holds at most %d", st, len(data), maxBytes)
	}
	_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: item{
		wiring.Key: str(st.String()), attrData: &types.AttributeValueMemberB{Value: data},
	}})
	return failure(err)
}
