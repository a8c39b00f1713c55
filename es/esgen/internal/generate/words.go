package generate

import (
	"slices"
	"strings"
	"unicode"

	"onlineshop/es/naming"
)

// wireName is a Go name in lowerCamelCase: productIds, etag, uiBundleUrl.
func wireName(name string) string {
	var b strings.Builder
	for i, w := range naming.Words(name) {
		w = strings.ToLower(w)
		if i > 0 {
			w = capitalized(w)
		}
		b.WriteString(w)
	}
	return b.String()
}

func capitalized(s string) string {
	r := []rune(s)
	return string(append([]rune{unicode.ToUpper(r[0])}, r[1:]...))
}

var initialisms = []string{"API", "CSV", "HTTP", "HTTPS", "ID", "IP", "JSON", "SQL", "TTL", "UI", "URI", "URL", "UUID"}

// exported is a parameter's name as a field's: shipDelay is ShipDelay, url is URL.
func exported(name string) string {
	var b strings.Builder
	for _, w := range naming.Words(name) {
		upper := strings.ToUpper(w)
		switch {
		case slices.Contains(initialisms, upper):
			w = upper
		case slices.Contains(initialisms, strings.TrimSuffix(upper, "S")): // IDs
			w = strings.TrimSuffix(upper, "S") + "s"
		}
		b.WriteString(capitalized(w))
	}
	return b.String()
}
