package generate

import (
	"slices"
	"strings"
	"unicode"
)

// words splits a Go name: ProductIDs is Product IDs, ETag is one word.
func words(name string) (out []string) {
	r := []rune(name)
	for start := 0; start < len(r); {
		end := start + wordLength(r[start:])
		if w := strings.Trim(string(r[start:end]), "_"); w != "" {
			out = append(out, w)
		}
		start = end
	}
	return out
}

func wordLength(r []rune) int {
	upper := 0
	for upper < len(r) && unicode.IsUpper(r[upper]) {
		upper++
	}
	startsWord := func(i int) bool { return i >= len(r) || unicode.IsUpper(r[i]) || r[i] == '_' }
	switch {
	case strings.HasPrefix(string(r), "ETag") && startsWord(len("ETag")):
		return len("ETag")
	case upper > 1 && upper < len(r) && r[upper] == 's' && startsWord(upper+1): // IDs
		return upper + 1
	case upper > 1 && upper < len(r) && unicode.IsLower(r[upper]): // URLPath: the P belongs to the path
		return upper - 1
	}
	end := max(upper, 1)
	for end < len(r) && !startsWord(end) {
		end++
	}
	return end
}

// wireName is a Go name in lowerCamelCase: productIds, etag, uiBundleUrl.
func wireName(name string) string {
	var b strings.Builder
	for i, w := range words(name) {
		w = strings.ToLower(w)
		if i > 0 {
			w = capitalized(w)
		}
		b.WriteString(w)
	}
	return b.String()
}

// kebab is a name as it stands in a path: product-demands.
func kebab(name string) string { return strings.ToLower(strings.Join(words(name), "-")) }

func capitalized(s string) string {
	r := []rune(s)
	return string(append([]rune{unicode.ToUpper(r[0])}, r[1:]...))
}

var initialisms = []string{"API", "CSV", "HTTP", "HTTPS", "ID", "IP", "JSON", "SQL", "TTL", "UI", "URI", "URL", "UUID"}

// exported is a parameter's name as a field's: shipDelay is ShipDelay, url is URL.
func exported(name string) string {
	var b strings.Builder
	for _, w := range words(name) {
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
