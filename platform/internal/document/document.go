// Package document names and writes what platforms keep for people: reports and
// e-mails.
package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"onlineshop/es/email"
	"onlineshop/es/engine"
)

// Name makes a file's name of any text, with the extension: percent-encoded, and
// a long one ends in its hash.
func Name(text, ext string) string {
	const most = 200 // bytes; file systems allow 255
	name := url.PathEscape(text)
	if len(name) > most {
		h := sha256.Sum256([]byte(text))
		name = name[:most-65] + "-" + hex.EncodeToString(h[:])
	}
	return name + ext
}

// aboutHeader names a stream whose subject a message is about.
const aboutHeader = "X-Shop-About"

// Email is a message in plain text, as mail programs open it (RFC 5322). One that is kept
// names whom it is about: see [About].
func Email(from string, m email.Message, about ...engine.Stream) ([]byte, error) {
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("the sender %q is not an e-mail address: %w", from, err)
	}
	recipient, err := mail.ParseAddress(m.To)
	if err != nil {
		return nil, fmt.Errorf("the recipient %q is not an e-mail address: %w", m.To, err)
	}
	_, domain, _ := strings.Cut(sender.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", sender.String()},
		{"To", recipient.String()},
		{"Subject", mime.QEncoding.Encode("utf-8", m.Subject)},
		{"Date", time.Now().Format(time.RFC1123Z)},
		// Escaped, the id is an atom (RFC 5322, 3.2.3).
		{"Message-ID", "<" + strings.ReplaceAll(url.QueryEscape(m.ID), ".", "%2E") + "@" + domain + ">"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	for _, s := range about {
		fmt.Fprintf(&b, "%s: %s\r\n", aboutHeader, url.QueryEscape(s.String()))
	}
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	if _, err := io.WriteString(q, strings.ReplaceAll(m.Text, "\n", "\r\n")); err != nil {
		return nil, err
	}
	if err := q.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// About reports whether a message that was kept is about the stream's subject.
func About(r io.Reader, s engine.Stream) (bool, error) {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return false, fmt.Errorf("read an e-mail: %w", err)
	}
	return slices.Contains(m.Header[aboutHeader], url.QueryEscape(s.String())), nil
}

// ReadEmail reads a message in plain text, as people see it.
func ReadEmail(r io.Reader) (e engine.Email, err error) {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return engine.Email{}, fmt.Errorf("read an e-mail: %w", err)
	}
	if e.Time, err = m.Header.Date(); err != nil {
		return engine.Email{}, fmt.Errorf("read an e-mail's date: %w", err)
	}
	words := mime.WordDecoder{}
	for name, to := range map[string]*string{"From": &e.From, "To": &e.To, "Subject": &e.Subject} {
		if *to, err = words.DecodeHeader(m.Header.Get(name)); err != nil {
			return engine.Email{}, fmt.Errorf("read an e-mail's %s: %w", name, err)
		}
	}
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		m.Body = quotedprintable.NewReader(m.Body)
	}
	text, err := io.ReadAll(m.Body)
	if err != nil {
		return engine.Email{}, fmt.Errorf("read an e-mail's text: %w", err)
	}
	e.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	return e, nil
}
