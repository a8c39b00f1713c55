package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// bucket is the folder below the data folder whose files are imported.
const bucket = "product-imports"

// imports is where the API has what concerns imports.
const imports = "/catalog/product-imports/"

// beginTime is how long the import of a file that was sent to a bucket may take to begin.
const beginTime = 2 * time.Minute

type importCommand struct {
	Files    []string `arg:"" name:"file" type:"existingfile" help:"CSV files with the columns name, description, price and, where wanted, id and categoryId."`
	Encoding string   `placeholder:"NAME" help:"How the files' text is encoded, where it is neither UTF-8 nor UTF-16 with its mark, e.g. windows-1252."`
	Check    bool     `help:"Say what would become of each row, and add nothing."`
}

// Help is shown by --help.
func (importCommand) Help() string {
	return examples("Sends the files to the shop, wherever it is, and waits until they are in. A file whose rows are all there already changes nothing.\n\nCommas, semicolons, tabs and bars are told by the header row, and so are the columns of exports of Shopify and WooCommerce; the answer says how a file was read.\n\nThe exit code is 1 where a file was refused as a whole; rejected rows are told, and listed in the file's report.",
		"shop import june.csv", "shop import --check june.csv", "shop import --encoding=windows-1252 old.csv", "shop import --json spring/*.csv",
		"shop import --addr https://shop.example.com --token $TOKEN june.csv")
}

// Run hands all files over, then waits for one after the other.
func (c importCommand) Run(ctx context.Context, s *session) error {
	text, err := textEncoding(c.Encoding)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, f := range c.Files {
		key := filepath.Base(f)
		switch other, twice := names[key]; {
		case twice:
			return usagef("%s and %s have one name, and the name is what an import is known by: rename one", other, f)
		case strings.HasPrefix(key, "."):
			return usagef("%s begins with a dot: such files are not imported; rename it", f)
		}
		names[key] = f
	}
	if c.Check {
		return c.check(ctx, s)
	}
	shop := s.client()
	uploads := make([]*upload, len(c.Files))
	for i, f := range c.Files {
		u, err := s.handOver(ctx, shop, f, text)
		if err != nil {
			return fmt.Errorf("import %s: %w", f, err)
		}
		uploads[i] = u
	}
	refused := 0
	for _, u := range uploads {
		run, err := u.wait(ctx, shop, s.progress(u))
		if err != nil {
			return err
		}
		if run.Status == "rejected" {
			refused++
		}
		if s.JSON {
			err = s.printJSON(run)
		} else {
			s.summarize(run)
		}
		if err != nil {
			return err
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d files refused", refused, len(uploads))
	}
	return nil
}

// textEncoding is the encoding of that name; nil: what is read without being told.
func textEncoding(name string) (encoding.Encoding, error) {
	if name == "" {
		return nil, nil
	}
	e, err := htmlindex.Get(name)
	if _, ok := e.(*charmap.Charmap); err != nil || !ok {
		return nil, usagef("--encoding=%s is not read: say one such as windows-1252, or save the file as CSV in UTF-8", name)
	}
	return e, nil
}

// checkedFile is what an import would make of a file.
type checkedFile struct {
	importRun
	Outcomes []struct {
		Line    int64  `json:"line"`
		Outcome string `json:"outcome"`
		Reason  string `json:"reason,omitempty"`
	} `json:"outcomes"`
	More int `json:"more"` // rows that are not in outcomes
}

// check says what would become of the files' rows.
func (c importCommand) check(ctx context.Context, s *session) error {
	refused := 0
	for _, file := range c.Files {
		var answer json.RawMessage
		path := imports + url.PathEscape(filepath.Base(file)) + "/check"
		if c.Encoding != "" {
			path += "?encoding=" + url.QueryEscape(c.Encoding)
		}
		text, err := openText(file, nil)
		if err == nil {
			err = errors.Join(s.client().send(ctx, http.MethodPost, path, "", text.content(), &answer), text.Close())
		}
		if err != nil {
			return fmt.Errorf("check %s: %w", file, err)
		}
		var told checkedFile
		if err := json.Unmarshal(answer, &told); err != nil {
			return fmt.Errorf("check %s: %w", file, err)
		}
		if told.Status == "rejected" {
			refused++
		}
		if s.JSON {
			if err := s.printJSON(answer); err != nil {
				return err
			}
			continue
		}
		for _, r := range told.Outcomes {
			s.printf("line %d: %s", r.Line, r.Outcome)
			if r.Reason != "" {
				s.printf(": %s", r.Reason)
			}
			s.printf("\n")
		}
		if told.More > 0 {
			s.printf("and %d more rows\n", told.More)
		}
		s.summarize(told.importRun)
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d files would be refused", refused, len(c.Files))
	}
	return nil
}

// importRun is a row of ProductImports.
type importRun struct {
	ID         string     `json:"id"`
	Status     string     `json:"status"` // running, finished or rejected
	Size       int64      `json:"size"`
	Offset     int64      `json:"offset"`
	Rows       int64      `json:"rows"`
	Added      int64      `json:"added"`
	Unchanged  int64      `json:"unchanged"`
	Rejected   int64      `json:"rejected"`
	StartedAt  time.Time  `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Report     string     `json:"report,omitempty"`
	Note       string     `json:"note,omitempty"`
}

func (r importRun) ended() bool { return r.Status != "running" }

func (s *session) summarize(r importRun) {
	s.printf("%s: %s, %d rows: %d added, %d unchanged, %d rejected", r.ID, r.Status, r.Rows, r.Added, r.Unchanged, r.Rejected)
	if r.FinishedAt != nil {
		s.printf(", in %s", r.FinishedAt.Sub(r.StartedAt).Round(time.Millisecond))
	}
	if s.printf("\n"); r.Reason != "" {
		s.printf("  %s\n", r.Reason)
	}
	if r.Note != "" {
		s.printf("  %s\n", r.Note)
	}
	if r.Report != "" {
		s.printf("  why rows were rejected: %s%s\n", s.client().base, r.Report)
	}
}

// bar draws how far something is with so many bytes, where somebody looks on.
func (s *session) bar(about string, size int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription(about),
		progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetVisibility(s.watched()))
}

// progress draws how far the shop has read an upload.
func (s *session) progress(u *upload) func(importRun) {
	bar := s.bar(u.key, u.size)
	return func(r importRun) {
		_ = bar.Set64(min(r.Offset, u.size)) // it is only drawn
		if r.ended() {
			_ = bar.Finish()
		}
	}
}

// textFile is an open file as it is sent.
type textFile struct {
	*os.File
	text io.Reader
	size int64 // of text
}

// openText opens a file. Where its encoding is given, what is sent is in UTF-8: a folder
// can't say what a file's is. It is decoded twice, since who takes it in wants to know
// beforehand how long it is.
func openText(name string, encoding encoding.Encoding) (_ *textFile, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // the file was only read
		}
	}()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no file of a known length, which is to be told before it is sent: save it as one")
	case encoding == nil:
		return &textFile{f, io.LimitReader(f, info.Size()), info.Size()}, nil // what comes later is not meant
	}
	size, err := io.Copy(io.Discard, encoding.NewDecoder().Reader(f))
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return &textFile{f, io.LimitReader(encoding.NewDecoder().Reader(f), size), size}, nil
}

func (f *textFile) content() *content { return &content{"text/csv", f.text, f.size, nil} }

// upload is a file handed over to a shop.
type upload struct {
	key    string
	size   int64     // bytes
	before time.Time // when the latest run of the key started that is none of ours; zero: none
	bucket bool      // the shop has to hear from a bucket that the file is there
}

// handOver sends a file to where the API says, whole or not at all.
func (s *session) handOver(ctx context.Context, shop *client, file string, encoding encoding.Encoding) (*upload, error) {
	text, err := openText(file, encoding)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	u := &upload{key: filepath.Base(file), size: text.size}
	run, err := u.run(ctx, shop)
	if err != nil {
		return nil, err
	}
	u.before = run.StartedAt
	var to target
	if err := shop.post(ctx, imports+"uploads", "", map[string]any{"key": u.key, "size": u.size}, &to); err != nil {
		return nil, err
	}
	u.bucket = to.elsewhere()
	bar, body := s.bar("sending "+u.key, u.size), text.content()
	seen := progressbar.NewReader(body.from, bar)
	body.from = &seen
	if err := shop.deliver(ctx, to, body); err != nil {
		return nil, err
	}
	_ = bar.Finish() // it is only drawn
	return u, nil
}

// run is the key's latest one, read from the log; the zero value where there is none.
func (u *upload) run(ctx context.Context, shop *client) (importRun, error) {
	var r importRun
	err := shop.get(ctx, imports+url.PathEscape(u.key)+"?minVersion=0", &r)
	if isProblem(err, "ProductImportNotFound") {
		err = nil
	}
	return r, err
}

// wait returns the upload's run once it has ended. A shop begins by itself with what it
// has taken in, when it is its turn.
func (u *upload) wait(ctx context.Context, shop *client, progress func(importRun)) (run importRun, err error) {
	asked := time.Now()
	err = await(ctx, func() (bool, error) {
		if run, err = u.run(ctx, shop); err != nil {
			return false, err
		}
		if run.StartedAt.After(u.before) {
			progress(run)
			return run.ended(), nil
		}
		if u.bucket && time.Since(asked) > beginTime {
			return false, fmt.Errorf("the import of %s has not begun within %s of its upload: the log and the dead letters of the stack's import function tell why", u.key, beginTime)
		}
		return false, nil
	})
	if ctx.Err() != nil {
		err = fmt.Errorf("the shop goes on importing %s by itself (%w)", u.key, err)
	}
	return run, err
}
