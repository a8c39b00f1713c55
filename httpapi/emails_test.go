package httpapi_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"onlineshop/es/engine"
	"onlineshop/httpapi"
)

// sent are e-mails, the newest first; a page's cursor is the next one's id.
type sent []engine.Email

func (s sent) ListEmails(_ context.Context, cursor string, limit int) (emails []engine.Email, next string, err error) {
	for _, e := range s {
		switch {
		case cursor != "" && e.ID != cursor:
		case len(emails) == limit:
			return emails, e.ID, nil
		default:
			cursor = ""
			e.Text = ""
			emails = append(emails, e)
		}
	}
	return emails, "", nil
}

func (s sent) Email(_ context.Context, id string) (engine.Email, error) {
	for _, e := range s {
		if e.ID == id {
			return e, nil
		}
	}
	return engine.Email{}, engine.ErrNotFound
}

func TestEmailsAreForAdmin(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	a := newAPI(t, func(c *httpapi.Config) {
		c.Emails = sent{
			{ID: "m/2", From: "shop@example.com", To: "ann@example.com", Subject: "Your order 2", Text: "<b>2</b>", Time: at},
			{ID: "m1", From: "shop@example.com", To: "bob@example.com", Subject: "Your order 1", Text: "1", Time: at},
		}
	})
	read := func(path string, into any) {
		t.Helper()
		w := a.send("GET", path, "")
		a.is(w, 200, "")
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Fatal(err)
		}
	}
	// They are listed page by page
	var page struct {
		Items []map[string]string
		Next  string
	}
	read("/operations/emails?limit=1", &page)
	if len(page.Items) != 1 || page.Items[0]["subject"] != "Your order 2" || page.Items[0]["time"] != "2026-06-01T12:00:00.000Z" || page.Next == "" {
		t.Errorf("the first page is %+v", page)
	}
	next := page.Next
	page.Items, page.Next = nil, ""
	read("/operations/emails?limit=1&cursor="+next, &page)
	if len(page.Items) != 1 || page.Items[0]["id"] != "m1" || page.Next != "" {
		t.Errorf("the second page is %+v", page)
	}
	// One has its text
	var one map[string]string
	read("/operations/emails/m%2F2", &one)
	expectHeader(t, one["text"], "<b>2</b>")
	a.is(a.send("GET", "/operations/emails/m3", ""), 404, "NotFound")
	// Others don't see them
	for _, path := range []string{"/operations/emails", "/operations/emails/m1"} {
		a.is(a.send("GET", path, "", "X-Local-User", "ann"), 403, "Forbidden")
	}
	// Where the platform keeps none, they are nowhere
	a = newAPI(t, nil)
	a.is(a.send("GET", "/operations/emails", ""), 404, "NotFound")
}
