package aws

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/platform/aws/wiring"
)

// CursorKey is what the HTTP API encrypts cursors with: 32 bytes, made by whoever
// comes first, and kept among the cursors of the first plugin.
func (p *Platform) CursorKey(ctx context.Context) ([]byte, error) {
	key, err := p.cursorKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("the key of cursors: %w", err)
	}
	return key, nil
}

func (p *Platform) cursorKey(ctx context.Context) ([]byte, error) {
	table, err := p.store.cursors(p.Plugins[0].Name)
	if err != nil {
		return nil, err
	}
	at := item{wiring.Key: str(wiring.CursorKey)}
	for range 2 { // the second time, it is there
		i, err := p.store.get(ctx, table, at)
		if err != nil {
			return nil, err
		}
		if b, ok := i[attrData].(*types.AttributeValueMemberB); ok {
			return b.Value, nil
		}
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		e := newExpression()
		data := e.name(attrData)
		update := "SET " + data + " = if_not_exists(" + data + ", " + e.value(&types.AttributeValueMemberB{Value: key}) + ")"
		if _, err := p.store.update(ctx, table, at, e, update, ""); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("it was written, and is not there")
}
