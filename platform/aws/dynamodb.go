package aws

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// store implements the engine's stores on DynamoDB's tables.
type store struct {
	db *dynamodb.Client
	wiring.Wiring
	plugins []string // that the function works for
	models  map[string]modelTraits
}

// modelTraits are what a read model's table depends on.
type modelTraits struct {
	indexes  []string
	sorts    []string
	searched bool
	owned    bool // its owners may list their own rows
	items    bool // its rows are below streams, or keys
	keyed    bool // they are below keys
}

// Attributes of items, beside the keys in package wiring.
const (
	attrEvents      = "events"
	attrVersion     = "version"
	attrMeta        = "meta"
	attrHash        = "hash"
	attrNext        = "next"
	attrParked      = "parked" // there where the cursor's stream is parked
	attrRev         = "rev"
	attrMade        = "made"
	attrView        = "view"
	attrAt          = "at"
	attrWords       = "words" // a space before each
	attrData        = "data"
	attrName        = "name"
	attrError       = "error"
	attrSince       = "since"
	attrLast        = "last"
	attrAttempts    = "attempts"
	attrTime        = "time"
	attrOrigin      = "origin"
	attrSeq         = "seq"
	attrIndex       = "nr"
	attrCode        = "code"
	attrDetail      = "detail"
	attrHint        = "hint"
	attrState       = "state"
	attrCorrelation = "correlation"
	attrUser        = "user"
)

// item is an item, or some attributes of one.
type item = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// text is the item's string attribute; "" where it has none.
func text(i item, name string) string {
	if s, ok := i[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// binary is the item's binary attribute; nil where it has none.
func binary(i item, name string) []byte {
	if b, ok := i[name].(*types.AttributeValueMemberB); ok {
		return b.Value
	}
	return nil
}

// number is the item's numeric attribute; 0 where it has none.
func number(i item, name string) int64 {
	if n, ok := i[name].(*types.AttributeValueMemberN); ok {
		v, _ := strconv.ParseInt(n.Value, 10, 64) // DynamoDB stores no other
		return v
	}
	return 0
}

// expression builds the placeholders of an expression. DynamoDB reserves many
// plain words, so every name gets one.
type expression struct {
	names  map[string]string
	values item
}

func newExpression() *expression { return &expression{map[string]string{}, item{}} }

// name is the attribute's placeholder.
func (e *expression) name(attribute string) string {
	p := "#" + attribute
	e.names[p] = attribute
	return p
}

// value is a placeholder for v.
func (e *expression) value(v types.AttributeValue) string {
	p := ":v" + strconv.Itoa(len(e.values))
	e.values[p] = v
	return p
}

// table is the physical name of a plugin's table that the wiring tells.
func (s *store) table(plugin, what string, name func(wiring.PluginWiring) string) (*string, error) {
	if t := name(s.Plugins[plugin]); t != "" {
		return &t, nil
	}
	return nil, fmt.Errorf("this function is not wired to the %s of %s: its %s does not name the table", what, plugin, wiring.Variable)
}

func (s *store) events(plugin string) (*string, error) {
	return s.table(plugin, "events", func(w wiring.PluginWiring) string { return w.Events })
}

func (s *store) cursors(plugin string) (*string, error) {
	return s.table(plugin, "cursors", func(w wiring.PluginWiring) string { return w.Cursors })
}

func (s *store) parked(plugin string) (*string, error) {
	return s.table(plugin, "parked keys", func(w wiring.PluginWiring) string { return w.Parked })
}

func (s *store) rows(model string) (*string, error) {
	if t := s.Rows[model]; t != "" {
		return &t, nil
	}
	return nil, fmt.Errorf("this function is not wired to the rows of %s: its %s does not name the table", model, wiring.Variable)
}

// update is a conditional UpdateItem; false: the condition did not hold.
func (s *store) update(ctx context.Context, table *string, key item, e *expression, update, condition string) (bool, error) {
	in := &dynamodb.UpdateItemInput{
		TableName: table, Key: key, UpdateExpression: &update,
		ExpressionAttributeNames: e.names,
	}
	if len(e.values) > 0 { // none is not allowed to be empty
		in.ExpressionAttributeValues = e.values
	}
	if condition != "" {
		in.ConditionExpression = &condition
	}
	_, err := s.db.UpdateItem(ctx, in)
	if refused := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &refused) {
		return false, nil
	}
	return err == nil, failure(err)
}

// get reads an item, strongly consistent; nil where there is none.
func (s *store) get(ctx context.Context, table *string, key item) (item, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: key, ConsistentRead: awssdk.Bool(true)})
	if err != nil {
		return nil, failure(err)
	}
	return out.Item, nil
}

// failure marks what is worth another try with [engine.ErrUnavailable]:
// throttles, time-outs, lost connections and failures of the service. A time-out
// of the network is a [context.DeadlineExceeded], too; the SDK says so where it was
// the caller's own time that ended.
func failure(err error) error {
	var api smithy.APIError
	var ended interface{ CanceledError() bool }
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.As(err, &ended) && ended.CanceledError():
		return err
	case retryables.IsErrorRetryable(err) == awssdk.TrueTernary,
		errors.As(err, &api) && api.ErrorFault() == smithy.FaultServer:
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
	return err
}

// encodeCursor makes a page's cursor of the key that the store goes on from, with what
// it belongs to, so that a foreign one is refused; "" of none.
func encodeCursor(belongs string, key item) string {
	if key == nil {
		return ""
	}
	plain := make(map[string]any, len(key))
	for name, v := range key {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			plain[name] = v.Value
		case *types.AttributeValueMemberN:
			plain[name] = json.Number(v.Value)
		}
	}
	b, err := json.Marshal([]any{belongs, plain})
	if err != nil {
		panic(err) // strings and numbers
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeCursor reads what encodeCursor made; [engine.ErrCursor] where it belongs elsewhere.
func decodeCursor(belongs, cursor string) (item, error) {
	if cursor == "" {
		return nil, nil
	}
	var to string
	plain := map[string]any{}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		dec := json.NewDecoder(strings.NewReader(string(b)))
		dec.UseNumber()
		err = dec.Decode(&[]any{&to, &plain})
	}
	if err != nil || to != belongs {
		return nil, engine.ErrCursor
	}
	key := item{}
	for name, v := range plain {
		switch v := v.(type) {
		case string:
			key[name] = str(v)
		case json.Number:
			key[name] = &types.AttributeValueMemberN{Value: v.String()}
		default:
			return nil, engine.ErrCursor
		}
	}
	return key, nil
}
