package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestDataDoesNotSteerTheTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"Grüße, 茶 🍵\tand\nmore\n": "Grüße, 茶 🍵\tand\nmore\n",
		"\x1b[2J\x07":             `\u001b[2J\u0007`,
		"a\u009bb\u202ec\u200b":   `a\u009bb\u202ec\u200b`,
		"a\rb\u2028":              `a\u000db\u2028`,
		"\U000e0041":              `\U000e0041`,
	} {
		var b strings.Builder
		n, err := fmt.Fprint(shown{&b}, text)
		if b.String() != want || n != len(text) || err != nil {
			t.Errorf("%q: %q, %d, %v", text, b.String(), n, err)
		}
	}
}
