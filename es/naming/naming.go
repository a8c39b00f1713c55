// Package naming converts names: Go identifiers to path segments, full names to their parts.
package naming

import (
	"strings"
	"unicode"
)

// Words splits a Go name: ProductIDs is Product IDs, ETag is one word.
func Words(name string) (out []string) {
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

// PathSegment is a plugin's, component's or command's name as it stands in a
// path: ProductDemands is product-demands.
func PathSegment(name string) string { return strings.ToLower(strings.Join(Words(name), "-")) }

// UIBundleVariable is the environment variable that says where a plugin's user
// interface is: CATALOG_UI_BUNDLE_URL.
func UIBundleVariable(plugin string) string { return strings.ToUpper(plugin) + "_UI_BUNDLE_URL" }

// Plugin is the plugin's part of a full name: Catalog of Catalog.Product.
func Plugin(full string) string {
	plugin, _, _ := strings.Cut(full, ".")
	return plugin
}

// Short is a full name without its plugin: Product of Catalog.Product.
func Short(full string) string { return full[strings.Index(full, ".")+1:] }

// Full is the full name of a plugin's part: Catalog.Product.
func Full(plugin, name string) string { return plugin + "." + name }
