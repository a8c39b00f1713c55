package httpapi

import (
	"context"
	"io"
	"mime"
	"net/http"
	"time"

	"filippo.io/age"
)

// backupName is the name that a backup is saved as.
const backupName = "shop.backup"

// addBackup adds the file that holds the whole shop, where the platform makes one.
func (a *api) addBackup() error {
	if a.Backup == nil {
		return nil
	}
	return a.add(&endpoint{
		method: http.MethodGet, path: "/operations/backup", tag: operations, name: "backup", allow: admin, text: "application/zstd", untagged: true, long: true, query: []parameter{keysParameter},
		summary: "A file that holds the whole shop as it is now, for \"shop restore\"",
		serve: func(c *call) (*answer, error) {
			c.header.Set("Content-Type", "application/zstd")
			c.header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": backupName}))
			if c.Method == http.MethodHead {
				return &answer{}, nil
			}
			var recipients []age.Recipient
			if c.value != "" {
				r, err := age.ParseX25519Recipient(c.value)
				if err != nil {
					return nil, errMalformed.Because("keys must be a recipient of age, which begins with age1")
				}
				recipients = append(recipients, r)
			}
			out, in := io.Pipe()
			ctx := context.WithoutCancel(c.Context()) // it takes as long as it takes, and ends with who reads it
			go func() {
				err := a.Backup(ctx, in, recipients...)
				if err != nil {
					a.Logger.WarnContext(ctx, "a backup did not come to its end", "correlationId", c.correlation, "error", err)
				}
				_ = in.CloseWithError(err) // always nil
			}()
			return &answer{stream: out}, nil
		},
	})
}

var keysParameter = parameter{
	"keys", "the recipient of age for whom it holds the keys of personal data, encrypted; without one it holds none",
	map[string]any{"type": "string", "pattern": "^age1"},
	func(c *call, value string) error { c.value = value; return nil },
}

// stall is how long a client may take no part of a long answer.
const stall = time.Minute

// patientWriter gives each part of an answer its own time.
type patientWriter struct{ http.ResponseWriter }

func (w patientWriter) Write(b []byte) (int, error) {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(stall)) // where it is a connection
	return w.ResponseWriter.Write(b)
}
