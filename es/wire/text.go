package wire

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxLine is the longest text that must be a single line, such as a name or a title.
// Longer ones, such as descriptions and addresses, may have several lines.
const maxLine = 255

// Length adds a problem if s does not have min to max code points (max < 0: no bound), if
// none of its characters is visible, or if it has characters that don't belong in text:
// control characters, invisible ones, and those that reorder the text around them. If max
// is at most 255, s must be a single line.
func (p *ValidationError) Length(pointer, s string, min, max int) {
	p.bounds(pointer, utf8.RuneCountInString(s), min, max, "characters")
	lines := max < 0 || max > maxLine
	seen := false // a character that can be seen
	for _, r := range s {
		if ' ' <= r && r < 0x7f { // as most are
			seen = seen || r != ' '
			continue
		}
		if what := unwanted(r, lines); what != "" {
			p.Add(pointer, "must not have %s (U+%04X)", what, r)
			return
		}
	}
	if min > 0 && s != "" && !seen && !strings.ContainsFunc(s, visible) {
		p.Add(pointer, "must have a character that can be seen")
	}
}

// unwanted returns what is wrong with a character of a text, or "". Joiners (U+200C,
// U+200D) and direction marks are parts of words in some scripts, and of emoji.
func unwanted(r rune, lines bool) string {
	switch {
	case r == '\n' || r == '\r' || r == '\t':
		if lines {
			return ""
		}
		return "line breaks and tabs"
	case r == '\u2028' || r == '\u2029':
		return "line separators"
	case unicode.Is(unicode.Cc, r):
		return "control characters"
	case r == '\u200c' || r == '\u200d' || r == '\u200e' || r == '\u200f' || r == '\u061c':
		return ""
	case '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069':
		return "characters that reorder the text"
	case r == '\u00ad' || r == '\u180e' || r == '\u200b' || '\u2060' <= r && r <= '\u2064' || r == '\ufeff' || '\U000e0000' <= r && r <= '\U000e007f':
		return "invisible characters"
	case r&0xfffe == 0xfffe || '\ufdd0' <= r && r <= '\ufdef':
		return "noncharacters"
	}
	return ""
}

// visible reports whether the character is visible by itself.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Cf, r) &&
		r != '\u2800' && r != '\u3164' && r != '\uffa0' && r != '\u115f' && r != '\u1160'
}

// Trim returns s without surrounding white space, in Unicode's normal form C, so that equal
// texts are equal bytes however they were typed.
func Trim(s string) string { return strings.TrimSpace(norm.NFC.String(s)) }

// Email adds a problem if s is not a plausible e-mail address: one @ between a name and a
// domain, at most 254 characters (RFC 5321, 4.5.3.1), all of them ASCII, since not every
// server accepts others (RFC 6531).
func (p *ValidationError) Email(pointer, s string) {
	if why := emailMistake(s); why != "" {
		p.Add(pointer, "must be an e-mail address such as name@example.com, of at most 254 characters: %s", why)
	}
}

func emailMistake(s string) string {
	a, err := mail.ParseAddress(s)
	name, domain, _ := strings.Cut(s, "@")
	switch {
	case utf8.RuneCountInString(s) > 254:
		return "it is longer"
	case strings.ContainsFunc(s, func(r rune) bool { return r > '~' }):
		return "it has other characters than ASCII's; write a domain of that kind as xn--…"
	case strings.Contains(s, "=?"):
		return "it is encoded"
	case err != nil || a.Address != s || strings.Count(s, "@") != 1 || name == "":
		return "it is not of that form"
	case !strings.Contains(domain, "."):
		return "its domain has no dot"
	}
	for _, label := range strings.Split(domain, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' }) {
			return fmt.Sprintf("%q is not part of a domain", label)
		}
	}
	return ""
}
