package aws

import (
	"errors"
	"io"
	"testing"

	"github.com/aws/smithy-go"

	"onlineshop/es/engine"
)

func TestAnAnswerThatBreaksOffIsWorthAnotherTry(t *testing.T) {
	broken := &smithy.DeserializationError{Err: io.ErrUnexpectedEOF}
	if err := failure(broken); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := failure(&smithy.DeserializationError{Err: errors.New("not JSON")}); errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
