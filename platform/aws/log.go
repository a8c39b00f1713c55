package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// maxItem is how many bytes an item of DynamoDB may have.
const maxItem = 400 << 10

// Append implements [engine.Log] with one conditional write. A commit is only
// ever made by one who has seen its predecessor, so a free place is the next.
func (s *store) Append(ctx context.Context, c engine.Commit) error {
	table, err := s.events(naming.Plugin(c.Stream.Aggregate))
	if err != nil {
		return err
	}
	i, err := encodeCommit(c)
	if err != nil {
		return err
	}
	if n := size(i); n > maxItem {
		return engine.ErrCommitTooLarge.Because("what this command decides on %s takes %d bytes with its metadata, a commit holds at most %d", c.Stream.ID, n, maxItem)
	}
	put := types.Put{
		TableName: table, Item: i,
		ConditionExpression:                 awssdk.String("attribute_not_exists(#s)"), // stream is a reserved word
		ExpressionAttributeNames:            map[string]string{"#s": wiring.Stream},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if c.UnlessRejected {
		return s.appendUnlessRejected(ctx, c, put)
	}
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: put.TableName, Item: put.Item, ConditionExpression: put.ConditionExpression,
		ExpressionAttributeNames: put.ExpressionAttributeNames, ReturnValuesOnConditionCheckFailure: put.ReturnValuesOnConditionCheckFailure,
	})
	if refused := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &refused) {
		theirs, err := decodeCommit(c.Stream, refused.Item)
		if err != nil {
			return err
		}
		return &engine.ConflictError{Theirs: theirs}
	}
	return failure(err)
}

// appendUnlessRejected is an append in a transaction, which costs four times as much.
func (s *store) appendUnlessRejected(ctx context.Context, c engine.Commit, put types.Put) error {
	rejections, err := s.rejections(c.Meta.Command.Origin)
	if err != nil {
		return err
	}
	failed, old, err := s.transact(ctx, types.TransactWriteItem{Put: &put}, absent(rejections, rejectionKey(c.Meta.Command)))
	switch {
	case err != nil:
		return fmt.Errorf("append to %s: %w", c.Stream, err)
	case failed == 0:
		theirs, err := decodeCommit(c.Stream, old)
		if err != nil {
			return err
		}
		return &engine.ConflictError{Theirs: theirs}
	case failed == 1:
		return engine.ErrRejected
	}
	return nil
}

// commitKey is that of a commit.
func commitKey(st engine.Stream, seq int64) item {
	return item{wiring.Stream: str(wiring.StreamKey(st.Aggregate, st.ID)), wiring.Seq: num(seq)}
}

// Read implements [engine.Log]: a page is DynamoDB's own, of 1 MB. What is read is paid
// for, so that a limit saves read units, too.
func (s *store) Read(ctx context.Context, st engine.Stream, from int64, limit int) (commits []engine.Commit, more bool, err error) {
	var most *int32
	if limit > 0 {
		most = awssdk.Int32(int32(min(limit, math.MaxInt32)))
	}
	return s.query(ctx, st, wiring.Seq+" >= :from", from, true, most)
}

// pageBack is how many commits a page of Before has: it looks for something near
// the end.
const pageBack = 8

// ReadBackward implements [engine.Log].
func (s *store) ReadBackward(ctx context.Context, st engine.Stream, before int64) (commits []engine.Commit, err error) {
	commits, _, err = s.query(ctx, st, wiring.Seq+" < :from", before, false, awssdk.Int32(pageBack))
	return commits, err
}

func (s *store) query(ctx context.Context, st engine.Stream, place string, seq int64, forward bool, limit *int32) (commits []engine.Commit, more bool, err error) {
	table, err := s.events(naming.Plugin(st.Aggregate))
	if err != nil {
		return nil, false, err
	}
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: table, KeyConditionExpression: awssdk.String("#s = :s AND " + place),
		ExpressionAttributeNames: map[string]string{"#s": wiring.Stream},
		ExpressionAttributeValues: item{
			":s": str(wiring.StreamKey(st.Aggregate, st.ID)), ":from": num(seq),
		},
		ConsistentRead: awssdk.Bool(true), ScanIndexForward: &forward, Limit: limit,
	})
	if err != nil {
		return nil, false, failure(err)
	}
	for _, i := range out.Items {
		c, err := decodeCommit(st, i)
		if err != nil {
			return nil, false, err
		}
		commits = append(commits, c)
	}
	return commits, out.LastEvaluatedKey != nil, nil
}

// Streams implements [engine.Log] with a scan of the plugin's whole table, of
// which it keeps the aggregate's streams. A page looks at scanned commits, and on
// until it has some streams or has looked at scanPages times as many.
func (s *store) Streams(ctx context.Context, aggregate, cursor string) (ids []string, next string, err error) {
	const scanned, scanPages, enough = 250, 20, 100
	table, err := s.events(naming.Plugin(aggregate))
	if err != nil {
		return nil, "", err
	}
	start, err := decodeCursor(aggregate, cursor)
	if err != nil {
		return nil, "", err
	}
	prefix := wiring.StreamKey(aggregate, "")
	// A stream's commits stand together. All are looked at, and not its first alone, or a
	// stream that has lost that one would be nowhere.
	last := text(start, wiring.Stream)
	for page := 0; len(ids) < enough && page < scanPages; page++ {
		out, err := s.db.Scan(ctx, &dynamodb.ScanInput{
			TableName: table, ExclusiveStartKey: start, Limit: awssdk.Int32(scanned), ConsistentRead: awssdk.Bool(true),
			FilterExpression:          awssdk.String("begins_with(#s, :prefix)"),
			ProjectionExpression:      awssdk.String("#s"),
			ExpressionAttributeNames:  map[string]string{"#s": wiring.Stream},
			ExpressionAttributeValues: item{":prefix": str(prefix)},
		})
		if err != nil {
			return nil, "", failure(err)
		}
		for _, i := range out.Items {
			if s := text(i, wiring.Stream); s != last {
				ids, last = append(ids, strings.TrimPrefix(s, prefix)), s
			}
		}
		if start = out.LastEvaluatedKey; start == nil {
			break
		}
	}
	return ids, encodeCursor(aggregate, start), nil
}

func encodeCommit(c engine.Commit) (item, error) {
	events, meta, err := c.Encode()
	if err != nil {
		return nil, err
	}
	return commitItem(c.Stream, c.Seq, c.Version, events, meta, c.Hash), nil
}

func commitItem(st engine.Stream, seq, version int64, events, meta, hash []byte) item {
	i := commitKey(st, seq)
	i[attrEvents], i[attrVersion], i[attrMeta] = str(string(events)), num(version), str(string(meta))
	if len(hash) > 0 {
		i[attrHash] = &types.AttributeValueMemberB{Value: hash}
	}
	return i
}

func decodeCommit(st engine.Stream, i item) (engine.Commit, error) {
	return readCommit(st, number(i, wiring.Seq), number(i, attrVersion), text(i, attrEvents), text(i, attrMeta), binary(i, attrHash))
}

func readCommit(st engine.Stream, seq, version int64, events, meta string, hash []byte) (engine.Commit, error) {
	c := engine.Commit{Stream: st, Seq: seq, Version: version, Hash: hash}
	if err := c.CheckStored([]byte(events), []byte(meta)); err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(events), &c.Events); err != nil {
		return c, fmt.Errorf("stored events of %s at %d: %w", st, seq, err)
	}
	if err := json.Unmarshal([]byte(meta), &c.Meta); err != nil {
		return c, fmt.Errorf("stored metadata of %s at %d: %w", st, seq, err)
	}
	return c, nil
}

// size is what an item of strings, numbers and bytes counts in DynamoDB: names and
// values in UTF-8, a number at most 21 bytes.
func size(i item) (n int) {
	for name, v := range i {
		n += len(name) + 21
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value) - 21
		case *types.AttributeValueMemberB:
			n += len(v.Value) - 21
		}
	}
	return n
}
