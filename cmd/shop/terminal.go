package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// shown is a writer for terminals: what data could steer one with, or make it show
// something else, is written as \u and its number. JSON stays what it is by that.
type shown struct{ io.Writer }

func (s shown) Write(b []byte) (int, error) {
	if _, err := io.WriteString(s.Writer, printable(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// printable is a text without control characters, but for line breaks and tabs, and
// without invisible ones.
func printable(text string) string {
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !steers(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func steers(r rune) bool {
	return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
