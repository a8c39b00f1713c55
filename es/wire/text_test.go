package wire_test

import (
	"strings"
	"testing"

	"onlineshop/es/wire"
)

func TestTextsHaveWhatCanBeSeen(t *testing.T) {
	for text, want := range map[string]string{
		"Tea": "", "Grün": "", "茶": "", "a b": "", "👩\u200d👩\u200d👧": "", "می\u200cخواهم": "", "👍🏽": "", "שלום\u200f": "", "e\u0301": "",
		"a\x00b": "control", "a\x1b[2J": "control", "a\u009bb": "control", "a\u0085b": "control", "a\x7f": "control",
		"a\nb": "line breaks", "a\tb": "line breaks", "a\rb": "line breaks", "a\u2028b": "line separators",
		"a\u202eb": "reorder", "a\u2066b": "reorder", "a\u200bb": "invisible", "a\ufeffb": "invisible", "a\u00adb": "invisible", "\U000e0041": "invisible",
		"\uffff": "noncharacters", "\u200d": "can be seen", "\u0301": "can be seen", "\u3164": "can be seen", "\u2800": "can be seen", "\u200f\u200e": "can be seen",
	} {
		var p wire.ValidationError
		p.Length("/name", text, 1, 200)
		if got := p.Error(); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("a name %+q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]bool{"two\nlines\tand\r\nmore": true, "": true, "a\x00": false, "a\u202e": false, "a\u2028": false} {
		var p wire.ValidationError
		p.Length("/description", text, 0, 10_000)
		if (p.Err() == nil) != want {
			t.Errorf("a description %+q: %v", text, p.Err())
		}
	}
}

func TestTrimmedTextIsInNormalFormC(t *testing.T) {
	if got := wire.Trim(" Cafe\u0301 "); got != "Caf\u00e9" {
		t.Errorf("%+q", got)
	}
}

func TestEmailAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"ann@example.com": true, "a.b+c@mail.example.co.uk": true, "a@xn--bcher-kva.example": true, "o'neil@example.com": true, "a@b.c": true, "x_y@1a.example": true,
		"=?utf-8?q?ann=40evil.example?=@b.com": false, "a\u200b@b.com": false, "a@b.com\u202e": false, "a@-b.com": false, "a@b.c-": false,
		"ü@example.com": false, "a@exämple.com": false, "a@b": false, "@b.com": false, "a@": false, "a@b@c.com": false, "a b@c.com": false,
		"a@b..com": false, "a@.com": false, "a@b.com.": false, "Ann <a@b.com>": false, "a\r\n@b.com": false, "a@b_c.com": false,
		strings.Repeat("a", 250) + "@b.com": false, "a@" + strings.Repeat("b", 64) + ".com": false,
	} {
		var p wire.ValidationError
		p.Email("/email", address)
		if (p.Err() == nil) != want {
			t.Errorf("%+q: %v", address, p.Err())
		}
	}
}
