package local

import (
	"errors"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/email"
	"onlineshop/es/engine"
)

func TestOutbox(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "emails")
	o := NewOutbox(dir, "Shop <shop@example.com>")
	// When a message is sent, and sent again
	for range 2 {
		if err := o.Send(t.Context(), email.Message{ID: "order/1", To: "ada@example.com", Subject: "Ihre Bestellung für Ümläute", Text: "Dear Ada,\n\nthank you for 1 × ☕.\n"}); err != nil {
			t.Fatal(err)
		}
	}
	// Then there is one file, which mail programs read
	expect(t, "files", files(t, dir), "[order%2F1.eml]")
	f, err := os.Open(filepath.Join(dir, "order%2F1.eml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := mail.ReadMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "ada@example.com" {
		t.Errorf("to %v, %v", to, err)
	}
	// And nobody can smuggle a header in
	if err := o.Send(t.Context(), email.Message{ID: "2", To: "eve@example.com\r\nBcc: all@example.com", Subject: "s", Text: "b"}); err == nil {
		t.Error("a recipient with a line break was taken")
	}
}

func TestEmailsAreListedNewestFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "emails")
	o := NewOutbox(dir, "Shop <shop@example.com>")
	list := func(cursor string) (subjects, next string) {
		t.Helper()
		emails, next, err := o.ListEmails(t.Context(), cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range emails {
			if e.Text != "" {
				t.Errorf("%s is listed with its text", e.ID)
			}
			all = append(all, e.Subject)
		}
		return strings.Join(all, ", "), next
	}
	// Given no folder, there are none
	if subjects, next := list(""); subjects != "" || next != "" {
		t.Errorf("of no folder %q is listed, and %q", subjects, next)
	}
	// Given three messages, two of them of one moment, one that is being written and somebody else's file
	day := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for id, at := range map[string]time.Time{"a/1": day, "b": day, "c": day.Add(time.Second)} {
		if err := o.Send(t.Context(), email.Message{ID: id, To: "ann@example.com", Subject: "Über " + id, Text: "Dear Ann,\n\n1 × ☕ <b>\n"}); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, strings.ReplaceAll(id, "/", "%2F")+".eml"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".writing-d.eml", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Then they are listed page by page
	subjects, next := list("")
	expect(t, "the first page", subjects, "Über c, Über a/1")
	subjects, next = list(next)
	expect(t, "the second page", subjects, "Über b")
	expect(t, "what follows", next, "")
	// And each is read as it was sent
	e, err := o.Email(t.Context(), "a%2F1")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "the text", e.Text, "Dear Ann,\n\n1 × ☕ <b>\n")
	expect(t, "who got it", e.To, "<ann@example.com>")
	// And a message that can't be read keeps nobody from reading the others
	if err := os.WriteFile(filepath.Join(dir, "b.eml"), []byte("no header"), 0o600); err != nil {
		t.Fatal(err)
	}
	if subjects, _ := list(""); !strings.Contains(subjects, "read an e-mail") {
		t.Errorf("listed are %s: one of them can't be read, which should be said", subjects)
	}
	// And nothing else can be read
	if err := os.WriteFile(filepath.Join(dir, "..", "secret.eml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"../secret", "nobody", ".writing-d", ""} {
		var no *es.Rejection
		if _, err := o.Email(t.Context(), id); !errors.As(err, &no) || no.Code != engine.ErrNotFound.Code {
			t.Errorf("the e-mail %q: %v, want NotFound", id, err)
		}
	}
}
