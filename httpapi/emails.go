package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"

	"onlineshop/es"
	"onlineshop/es/engine"
)

var emailSchema = &schema{"Email", record(object{
	"id": text, "from": text, "to": text, "subject": text, "time": instant,
	"text": object{"type": "string", "description": "plain text, never markup; of one e-mail, and not in a list"},
}, "text"), nil}

// email is an e-mail as callers see it.
type email struct {
	ID      string  `json:"id"`
	From    string  `json:"from"`
	To      string  `json:"to"`
	Subject string  `json:"subject"`
	Time    string  `json:"time"`
	Text    *string `json:"text,omitempty"` // nil: in a list
}

// addEmails adds what shows the e-mails that were sent, where the platform keeps them.
func (a *api) addEmails() error {
	if a.Emails == nil {
		return nil
	}
	const path = "/operations/emails"
	return errors.Join(
		a.add(&endpoint{
			method: http.MethodGet, path: path, tag: operations, name: "emails", summary: "The e-mails that were sent, newest first", allow: admin,
			query: []parameter{limitParameter, cursorParameter}, answers: pageSchema(emailSchema), serve: a.listEmails,
		}),
		a.add(&endpoint{
			method: http.MethodGet, path: path + "/" + idSegment, tag: operations, name: "email", summary: "One e-mail that was sent", allow: admin, id: anyID,
			answers: emailSchema, refuses: []int{404, 422},
			serve: func(c *call) (*answer, error) {
				e, err := a.Emails.Email(c.Context(), c.id)
				if err != nil {
					return nil, err
				}
				out := emailOf(e)
				out.Text = &e.Text
				return &answer{body: marshal(out)}, nil
			},
		}),
	)
}

func (a *api) listEmails(c *call) (*answer, error) {
	emails, next, err := a.Emails.ListEmails(c.Context(), c.cursor, c.limit)
	if err != nil {
		return nil, err
	}
	p := page{Items: []json.RawMessage{}}
	for _, e := range emails {
		p.Items = append(p.Items, marshal(emailOf(e)))
	}
	if p.Next, err = c.encodeCursor(next); err != nil {
		return nil, err
	}
	return &answer{body: marshal(p)}, nil
}

func emailOf(e engine.Email) email {
	return email{ID: e.ID, From: e.From, To: e.To, Subject: e.Subject, Time: es.FormatTime(e.Time)}
}
