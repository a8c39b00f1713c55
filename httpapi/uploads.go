package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/es/wire"
)

// maxUpload is how many bytes an uploaded object may have, and uploadTime how long it may
// take to arrive.
const (
	maxUpload  = 5 << 30
	uploadTime = 15 * time.Minute
)

var (
	uploadSchema = inline(record(object{
		"key":  object{"type": "string", "minLength": 1, "maxLength": 1024, "description": "the object's name, e.g. june.csv"},
		"size": object{"type": "integer", "minimum": 0, "maximum": maxUpload, "description": "its bytes"},
	}))
	uploadTarget = &schema{"Upload", record(object{
		"method":    text,
		"url":       object{"type": "string", "description": "where to send the object: a URL, or a path below the API's root"},
		"headers":   object{"type": "object", "additionalProperties": text, "description": "to be sent with it"},
		"expiresAt": instant,
	}), nil}
)

func uploadsPath(base string, t es.Task) string {
	return base + "/" + naming.PathSegment(t.Reports.Name()) + "/uploads"
}

// addUploads adds how an object of a task gets into its bucket.
func (a *api) addUploads(base string, p es.Plugin, t es.Task) error {
	if t.Bucket == "" {
		return nil
	}
	task := naming.Full(p.Name, t.Name)
	at := base + "/" + naming.PathSegment(t.Reports.Name()) + "/"
	return errors.Join(
		a.add(&endpoint{
			method: http.MethodPost, path: uploadsPath(base, t), tag: p.Name, name: task + "-upload",
			summary: "Where to send an object for the task " + task, allow: admin, body: true, payload: uploadSchema,
			answers: uploadTarget, refuses: []int{409, 413, 415, 422},
			serve: func(c *call) (*answer, error) { return a.upload(c, at, task) },
		}),
		a.add(&endpoint{
			method: http.MethodPut, path: at + idSegment + "/content", tag: p.Name, name: task + "-receive",
			summary: "Take in an object for the task " + task + ", where that is where to send it", allow: admin, id: anyID, large: true,
			answers: inline(record(object{})), refuses: []int{404, 409, 413, 422},
			serve: func(c *call) (*answer, error) {
				if err := a.Uploads.Receive(c.Context(), task, c.id, c.Body); err != nil {
					var large *http.MaxBytesError
					if errors.As(err, &large) {
						return nil, errTooLarge.Because("an object may have at most %d bytes", large.Limit)
					}
					return nil, err
				}
				return &answer{body: []byte("{}")}, nil
			},
		}),
	)
}

func (a *api) upload(c *call, at, task string) (*answer, error) {
	type object struct {
		key  string
		size int64
	}
	o, err := wire.ReadSent(c.body, false, func(v wire.Value) (o object) {
		f := v.Fields()
		defer f.Done()
		o.key, o.size = f.Field("key").String(), f.Field("size").Int(64)
		return o
	})
	if err != nil {
		return nil, err
	}
	if !anyID.valid(o.key) || o.size < 0 || o.size > maxUpload {
		return nil, engine.ErrInvalidID.Because("an object has a key of 1 to 1,024 bytes and a size of at most %d bytes", int64(maxUpload))
	}
	u, err := a.Uploads.Upload(c.Context(), task, o.key, o.size)
	if err != nil {
		return nil, err
	}
	if u.URL == "" {
		u.Method, u.URL = http.MethodPut, strings.TrimPrefix(at, "/")+url.PathEscape(o.key)+"/content"
	}
	return &answer{body: marshal(struct {
		Method    string            `json:"method"`
		URL       string            `json:"url"`
		Headers   map[string]string `json:"headers"`
		ExpiresAt string            `json:"expiresAt"`
	}{u.Method, u.URL, u.Header, es.FormatTime(u.Expires)})}, nil
}

// expectLarge gives a body of any size the time and the room that it needs.
func (c *call) expectLarge(w http.ResponseWriter) error {
	control := http.NewResponseController(w)
	end := time.Now().Add(uploadTime)
	if err := errors.Join(control.SetReadDeadline(end), control.SetWriteDeadline(end.Add(time.Minute))); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("give an upload its time: %w", err)
	}
	c.Body = http.MaxBytesReader(w, c.Body, maxUpload)
	return nil
}
