package engine

import (
	"strings"
	"testing"

	"onlineshop/es"
)

func TestAnUpcasterMayPanic(t *testing.T) {
	upcast := func(string, int, []byte) ([]any, error) { panic("there was no price then") }
	if _, err := decode(upcast, es.StoredEvent{Type: "Added"}); err == nil || !strings.Contains(err.Error(), "read event Added: panic: there was no price then") {
		t.Errorf("got %v; the panic as an error was expected", err)
	}
}
