package es

import "unicode/utf8"

// IDRule says in words what [ValidID] demands.
const IDRule = "an id has 1 to 128 characters of A-Z a-z 0-9 . _ ~ - and is neither . nor .."

// ValidID reports whether id may name an aggregate that users send commands to. Its
// characters need no encoding in a URL (RFC 3986); the segments "." and ".." are excluded
// because clients drop them.
func ValidID(id string) bool {
	if id == "" || len(id) > 128 || id == "." || id == ".." {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}

// ValidInternalID reports whether id may name an internal aggregate: any UTF-8 string of
// 1 to 1,024 bytes.
func ValidInternalID(id string) bool {
	return id != "" && len(id) <= 1024 && utf8.ValidString(id)
}
