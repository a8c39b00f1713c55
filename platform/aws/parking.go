package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// parkedKey is a parked key's. DynamoDB's sort keys end at 1,024 bytes, the
// streams of the longest ids do not: those stand there with their hash.
func parkedKey(consumer string, s engine.Stream) item {
	const maxBytes = 1024
	stream := s.String()
	if len(stream) > maxBytes {
		h := sha256.Sum256([]byte(stream))
		stream = strings.ToValidUTF8(stream[:900], "") + "…" + hex.EncodeToString(h[:])
	}
	return item{wiring.Consumer: str(consumer), wiring.Stream: str(stream)}
}

// maxError is how many bytes of an error are kept; a panic's has its stack.
const maxError = 8 << 10

// Park implements [engine.Parking]. The list is written before the mark on the
// cursor: a key that is listed is tried again, whatever its mark.
func (s *store) Park(ctx context.Context, p engine.Parked) error {
	table, err := s.parked(engine.ParseConsumer(p.Consumer).Plugin())
	if err != nil {
		return err
	}
	reason := p.Error
	if len(reason) > maxError {
		reason = strings.ToValidUTF8(reason[:maxError], "")
	}
	e := newExpression()
	since, attempts := e.name(attrSince), e.name(attrAttempts)
	update := fmt.Sprintf("SET %s = %s, %s = %s, %s = %s, %s = if_not_exists(%s, %s), %s = if_not_exists(%s, %s) + %s",
		e.name(attrName), e.value(str(p.Stream.String())),
		e.name(attrError), e.value(str(reason)),
		e.name(attrLast), e.value(str(formatLast(p))),
		since, since, e.value(str(p.Since.UTC().Format(time.RFC3339Nano))),
		attempts, attempts, e.value(num(int64(p.Attempts)-1)), e.value(num(1)))
	if _, err := s.update(ctx, table, parkedKey(p.Consumer, p.Stream), e, update, ""); err != nil {
		return err
	}
	return s.mark(ctx, p.Consumer, p.Stream, true)
}

// Parked implements [engine.Parking].
func (s *store) Parked(ctx context.Context, consumer string, st engine.Stream) (*engine.Parked, error) {
	table, err := s.parked(engine.ParseConsumer(consumer).Plugin())
	if err != nil {
		return nil, err
	}
	i, err := s.get(ctx, table, parkedKey(consumer, st))
	if err != nil || i == nil {
		return nil, err
	}
	p, err := readParked(i)
	return &p, err
}

func readParked(i item) (p engine.Parked, err error) {
	p = engine.Parked{Consumer: text(i, wiring.Consumer), Error: text(i, attrError), Attempts: int(number(i, attrAttempts))}
	p.Stream, err = engine.ParseStream(text(i, attrName))
	p.Since, _ = time.Parse(time.RFC3339Nano, text(i, attrSince)) // written by Park
	p.Last, _ = time.Parse(time.RFC3339Nano, text(i, attrLast))
	return p, err
}

// Unpark implements [engine.Parking]. The list's entry goes before the mark, so
// that what is marked at the same time is listed whatever becomes of this.
func (s *store) Unpark(ctx context.Context, p engine.Parked) error {
	table, err := s.parked(engine.ParseConsumer(p.Consumer).Plugin())
	if err != nil {
		return err
	}
	e := newExpression()
	last, attempts := e.name(attrLast), e.name(attrAttempts)
	condition := fmt.Sprintf("attribute_not_exists(%s) OR (%s = %s AND %s = %s)", last,
		last, e.value(str(formatLast(p))), attempts, e.value(num(int64(p.Attempts))))
	_, err = s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: table, Key: parkedKey(p.Consumer, p.Stream), ConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	if refused := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &refused) {
		return nil
	}
	if err != nil {
		return failure(err)
	}
	return s.mark(ctx, p.Consumer, p.Stream, false)
}

func formatLast(p engine.Parked) string { return p.Last.UTC().Format(time.RFC3339Nano) }

// mark notes on a follower's cursor whether its stream is parked.
func (s *store) mark(ctx context.Context, consumer string, st engine.Stream, parked bool) error {
	id := engine.ParseConsumer(consumer)
	switch id.Kind {
	case engine.KindPublication, engine.KindReadModel:
		return nil // have none
	}
	table, err := s.cursors(id.Plugin())
	if err != nil {
		return err
	}
	e := newExpression()
	name := e.name(attrParked)
	update, condition := "REMOVE "+name, "attribute_exists("+name+")"
	if parked {
		update, condition = "SET "+name+" = "+e.value(&types.AttributeValueMemberBOOL{Value: true}), ""
	}
	_, err = s.update(ctx, table, cursorKey(consumer, st), e, update, condition)
	return err
}

// ListParked implements [engine.Parking] for the function's plugins, one after
// the other.
func (s *store) ListParked(ctx context.Context, cursor string) (parked []engine.Parked, next string, err error) {
	const page = 100
	plugin, inner, _ := strings.Cut(cursor, ":")
	at := max(0, slices.Index(s.plugins, plugin)) // a foreign cursor's inner one belongs to none
	if at == len(s.plugins) {
		return nil, "", nil
	}
	plugin = s.plugins[at]
	table, err := s.parked(plugin)
	if err != nil {
		return nil, "", err
	}
	start, err := decodeCursor(plugin, inner)
	if err != nil {
		return nil, "", err
	}
	out, err := s.db.Scan(ctx, &dynamodb.ScanInput{
		TableName: table, ExclusiveStartKey: start,
		Limit: awssdk.Int32(page), ConsistentRead: awssdk.Bool(true),
	})
	if err != nil {
		return nil, "", failure(err)
	}
	for _, i := range out.Items {
		p, err := readParked(i)
		if err != nil {
			return nil, "", fmt.Errorf("parked keys of %s: %w", plugin, err)
		}
		parked = append(parked, p)
	}
	switch {
	case out.LastEvaluatedKey != nil:
		next = plugin + ":" + encodeCursor(plugin, out.LastEvaluatedKey)
	case at+1 < len(s.plugins):
		next = s.plugins[at+1] + ":"
	}
	return parked, next, nil
}
