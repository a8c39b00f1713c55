package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// rejectionKey is that of a command's rejection, which stands among the cursors: its
// origin names a follower and a stream, and may be too long for a key.
func rejectionKey(id engine.CommandID) item {
	h := sha256.Sum256([]byte(id.Origin))
	return item{wiring.Key: str(fmt.Sprintf(rejectionPrefix+"%s/%d/%d", hex.EncodeToString(h[:]), id.Seq, id.Index))}
}

const rejectionPrefix = "rejection\n"

// rejections is the table of the plugin whose follower sent the command.
func (s *store) rejections(origin string) (*string, error) {
	follower, _, _ := strings.Cut(origin, "/")
	return s.cursors(engine.ParseConsumer(follower).Plugin())
}

// Reject implements [engine.Rejections] with a transaction where the target must have no
// further commit.
func (s *store) Reject(ctx context.Context, r engine.KeptRejection, next int64) (kept bool, err error) {
	table, err := s.rejections(r.Command.Origin)
	if err != nil {
		return false, err
	}
	e := newExpression()
	var sets []string
	for name, v := range attributesOf(r) {
		sets = append(sets, e.name(name)+" = "+e.value(v))
	}
	update, condition := "SET "+strings.Join(sets, ", "), "attribute_not_exists("+e.name(wiring.Key)+")"
	if next < 0 {
		return s.update(ctx, table, rejectionKey(r.Command), e, update, condition)
	}
	put := types.TransactWriteItem{Update: &types.Update{
		TableName: table, Key: rejectionKey(r.Command), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	}}
	events, err := s.events(naming.Plugin(r.Target.Aggregate))
	if err != nil {
		return false, err
	}
	switch failed, _, err := s.transact(ctx, put, absent(events, commitKey(r.Target, next))); {
	case err != nil:
		return false, fmt.Errorf("keep a rejection by %s: %w", r.Target, err)
	case failed == 0:
		return false, nil
	case failed == 1:
		return false, engine.ErrConflict
	}
	return true, nil
}

func attributesOf(r engine.KeptRejection) item {
	detail := r.Detail
	if len(detail) > maxError {
		detail = strings.ToValidUTF8(detail[:maxError], "")
	}
	i := item{
		wiring.Consumer: str(r.Follower()), wiring.Order: str(r.Order()), wiring.Expires: num(r.Time.Add(engine.RejectionsKept).Unix()),
		attrOrigin: str(r.Command.Origin), attrSeq: num(r.Command.Seq), attrIndex: num(r.Command.Index),
		attrCode: str(r.Code), attrTime: str(r.Time.UTC().Format(time.RFC3339Nano)),
	}
	for name, text := range map[string]string{attrDetail: detail, attrCorrelation: r.CorrelationID, attrUser: r.User} {
		if text != "" {
			i[name] = str(text)
		}
	}
	if r.Target != (engine.Stream{}) {
		i[attrName] = str(r.Target.String())
	}
	return i
}

// absent is the condition that there is no such item.
func absent(table *string, key item) types.TransactWriteItem {
	names := map[string]string{}
	for name := range key {
		names["#k"] = name
	}
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: table, Key: key, ConditionExpression: awssdk.String("attribute_not_exists(#k)"), ExpressionAttributeNames: names,
	}}
}

// transact writes all of the items or none, and returns the first one whose condition
// does not hold, with what it is, if that was asked for; -1: all hold.
func (s *store) transact(ctx context.Context, items ...types.TransactWriteItem) (failed int, old item, err error) {
	_, err = s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	cancelled := (*types.TransactionCanceledException)(nil)
	if !errors.As(err, &cancelled) {
		return -1, nil, failure(err)
	}
	for n, reason := range cancelled.CancellationReasons {
		if awssdk.ToString(reason.Code) == "ConditionalCheckFailed" {
			return n, reason.Item, nil
		}
	}
	return -1, nil, fmt.Errorf("%w: %w", engine.ErrUnavailable, err) // another transaction has the items, or they are throttled
}

// Rejection implements [engine.Rejections].
func (s *store) Rejection(ctx context.Context, id engine.CommandID) (*engine.KeptRejection, error) {
	table, err := s.rejections(id.Origin)
	if err != nil {
		return nil, err
	}
	i, err := s.get(ctx, table, rejectionKey(id))
	if err != nil || i == nil {
		return nil, err
	}
	r, err := readRejection(i)
	return &r, err
}

func readRejection(i item) (r engine.KeptRejection, err error) {
	r = engine.KeptRejection{
		Command: engine.CommandID{Origin: text(i, attrOrigin), Seq: number(i, attrSeq), Index: number(i, attrIndex)},
		Code:    text(i, attrCode), Detail: text(i, attrDetail), CorrelationID: text(i, attrCorrelation), User: text(i, attrUser),
	}
	if target := text(i, attrName); target != "" {
		r.Target, err = engine.ParseStream(target)
	}
	r.Time, _ = time.Parse(time.RFC3339Nano, text(i, attrTime)) // written by Reject
	return r, err
}

// ListRejections implements [engine.Rejections] with the cursors' index of rejections.
func (s *store) ListRejections(ctx context.Context, follower, before string, limit int) (list []engine.KeptRejection, err error) {
	table, err := s.rejections(follower)
	if err != nil {
		return nil, err
	}
	e := newExpression()
	condition := e.name(wiring.Consumer) + " = " + e.value(str(follower))
	if before != "" {
		condition += " AND " + e.name(wiring.Order) + " < " + e.value(str(before))
	}
	in := &dynamodb.QueryInput{
		TableName: table, IndexName: awssdk.String(wiring.Consumer), KeyConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values, ScanIndexForward: awssdk.Bool(false),
	}
	for {
		in.Limit = awssdk.Int32(int32(min(limit-len(list), 1000)))
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return nil, failure(err)
		}
		for _, i := range out.Items {
			r, err := readRejection(i)
			if err != nil {
				return nil, err
			}
			list = append(list, r)
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil || len(list) >= limit {
			return list, nil
		}
	}
}
