package es

// ValidID reports whether id may name an aggregate of a user: 1–128 characters
// of A-Z a-z 0-9 . _ ~ -, but not "." or "..". Such an id is one path segment
// that needs no escaping. Internal aggregates may have other ids.
func ValidID(id string) bool {
	if id == "" || len(id) > 128 || id == "." || id == ".." {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}
