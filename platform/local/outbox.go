package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"onlineshop/es/email"
	"onlineshop/es/engine"
	"onlineshop/platform/internal/document"
)

// Outbox is an e-mail service for one's own machine: it keeps messages in a
// folder, as files that mail programs open.
type Outbox struct {
	dir, from string
	disk      disk
}

// NewOutbox keeps messages in the folder, which is made with the first one. from
// is their sender's address.
func NewOutbox(dir, from string) *Outbox { return &Outbox{dir, from, disk{machine}} }

// Send implements [email.Sender]: the message is the file <id>.eml.
func (o *Outbox) Send(ctx context.Context, m email.Message) error {
	b, err := document.Email(o.from, m, engine.Subjects(ctx)...)
	if err != nil {
		return fmt.Errorf("send e-mail %s: %w", m.ID, err)
	}
	err = o.disk.writeFile(filepath.Join(o.dir, document.Name(m.ID, emailExt)), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return fmt.Errorf("send e-mail %s: %w", m.ID, err)
	}
	return nil
}

// Forget removes the messages that are about the stream's subject.
func (o *Outbox) Forget(_ context.Context, s engine.Stream) error {
	files, err := o.files()
	for _, f := range files {
		if err != nil {
			break
		}
		name := filepath.Join(o.dir, f.id+emailExt)
		var about bool
		if about, err = o.isAbout(name, s); about && err == nil {
			if err = o.disk.Remove(name); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
	}
	if err == nil { // also of what an attempt before has removed
		err = o.disk.syncDir(o.dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever kept
	}
	if err != nil {
		return fmt.Errorf("remove the e-mails about %s: %w", s, err)
	}
	return nil
}

// isAbout reports whether the message in the file is about the stream's subject. What is no
// message, such as somebody else's file, is about nobody.
func (o *Outbox) isAbout(name string, s engine.Stream) (bool, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	about, err := document.About(f, s)
	return about && err == nil, nil
}

// emailFile is a message's file, as its folder lists it.
type emailFile struct {
	id      string
	written int64 // nanoseconds since 1970
}

// ListEmails implements [engine.Emails].
func (o *Outbox) ListEmails(_ context.Context, cursor string, limit int) (emails []engine.Email, next string, err error) {
	files, err := o.files()
	if err != nil {
		return nil, "", fmt.Errorf("list e-mails: %w", err)
	}
	if cursor != "" {
		written, id, _ := strings.Cut(cursor, " ")
		last := emailFile{id: id}
		if last.written, err = strconv.ParseInt(written, 10, 64); err != nil {
			return nil, "", engine.ErrCursor
		}
		files = slices.DeleteFunc(files, func(f emailFile) bool { return newestFirst(f, last) <= 0 })
	}
	slices.SortFunc(files, newestFirst)
	for i, f := range files {
		if i == limit {
			last := files[i-1]
			return emails, fmt.Sprint(last.written, " ", last.id), nil
		}
		e, err := o.read(f.id)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since
			continue
		case err != nil:
			return nil, "", fmt.Errorf("list e-mails: %w", err)
		}
		e.Text = ""
		emails = append(emails, e)
	}
	return emails, "", nil
}

func newestFirst(a, b emailFile) int {
	return cmp.Or(cmp.Compare(b.written, a.written), cmp.Compare(a.id, b.id))
}

// files lists the folder's messages.
func (o *Outbox) files() (files []emailFile, err error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		id, is := strings.CutSuffix(e.Name(), emailExt)
		if !is || strings.HasPrefix(id, ".") { // being written
			continue
		}
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since
			continue
		case err != nil:
			return nil, err
		}
		files = append(files, emailFile{id, info.ModTime().UnixNano()})
	}
	return files, nil
}

// Email implements [engine.Emails].
func (o *Outbox) Email(_ context.Context, id string) (engine.Email, error) {
	e, err := o.read(id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.Email{}, engine.ErrNotFound.Because("there is no e-mail %q", id)
	case err != nil:
		return engine.Email{}, fmt.Errorf("e-mail %q: %w", id, err)
	}
	return e, nil
}

// read reads a message. One that is there and can't be read, such as somebody else's
// file, says so in its subject: it does not keep the others from being shown.
func (o *Outbox) read(id string) (e engine.Email, err error) {
	if id == "" || filepath.Base(id) != id || strings.HasPrefix(id, ".") {
		return engine.Email{}, fs.ErrNotExist
	}
	f, err := os.Open(filepath.Join(o.dir, id+emailExt))
	if err != nil {
		return engine.Email{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return engine.Email{}, err
	}
	if e, err = document.ReadEmail(io.LimitReader(f, maxEmail)); err != nil {
		e = engine.Email{Subject: err.Error(), Time: info.ModTime()}
	}
	e.ID = id
	return e, nil
}

const (
	emailExt = ".eml"
	maxEmail = 1 << 20 // bytes of a message that are shown
)
