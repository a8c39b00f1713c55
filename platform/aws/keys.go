package aws

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// The keys of what is personal lie in a table of their own, which DynamoDB encrypts with a
// key of KMS: to have the keys wrapped one by one would be a request of KMS for each.

func (s *store) keys(st engine.Stream) (*string, error) {
	return s.table(naming.Plugin(st.Aggregate), "keys of personal data", func(w wiring.PluginWiring) string { return w.Keys })
}

// Key implements [engine.Keys].
func (s *store) Key(ctx context.Context, st engine.Stream, make bool) ([]byte, error) {
	table, err := s.keys(st)
	if err != nil {
		return nil, err
	}
	if !make {
		found, err := s.get(ctx, table, item{wiring.Key: str(st.String())})
		return keyIn(found), errors.Join(err, erasedIn(found))
	}
	key := newKey()
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: table, Item: item{wiring.Key: str(st.String()), attrData: &types.AttributeValueMemberB{Value: key}},
		ConditionExpression: awssdk.String("attribute_not_exists(#key)"), ExpressionAttributeNames: map[string]string{"#key": wiring.Key},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if there := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &there) {
		if there.Item == nil { // an emulator that does not tell
			return s.Key(ctx, st, false)
		}
		return keyIn(there.Item), erasedIn(there.Item)
	}
	if err != nil {
		return nil, failure(err)
	}
	return key, nil
}

func newKey() []byte {
	key := make([]byte, engine.KeySize)
	_, _ = rand.Read(key) // which does not fail
	return key
}

func keyIn(i item) []byte { return binary(i, attrData) }

// erasedIn is ErrErased of an item that has no key any more.
func erasedIn(i item) error {
	if i != nil && keyIn(i) == nil {
		return engine.ErrErased
	}
	return nil
}

// Destroy implements [engine.Keys]. The item stays, without the key.
func (s *store) Destroy(ctx context.Context, st engine.Stream) error {
	table, err := s.keys(st)
	if err == nil {
		_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: item{wiring.Key: str(st.String())}})
		err = failure(err)
	}
	if err != nil {
		return fmt.Errorf("destroy the key of %s: %w", st, err)
	}
	return nil
}
