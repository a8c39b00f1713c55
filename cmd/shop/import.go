package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// claimTime is how long a shop may take to claim a file, which it does once the
// file has been still for a second.
const claimTime = 20 * time.Second

type importCommand struct {
	Files    []string `arg:"" name:"file" type:"existingfile" help:"CSV files with the columns name, description, price and, where wanted, id and categoryId."`
	Encoding string   `placeholder:"NAME" help:"How the files' text is encoded, where it is neither UTF-8 nor UTF-16 with its mark, e.g. windows-1252."`
	Check    bool     `help:"Say what would become of each row, and add nothing."`
}

// Help is shown by --help.
func (importCommand) Help() string {
	return examples("Hands the files over to the shop that is being served from the data folder, or to the bucket of the one on AWS, and waits until they are in. A file whose rows are all there already changes nothing.\n\nCommas, semicolons, tabs and bars are told by the header row, and so are the columns of exports of Shopify and WooCommerce; the answer says how a file was read.\n\nThe exit code is 1 where a file was refused as a whole; rejected rows are told, and listed in the file's report.",
		"shop import june.csv", "shop import --check june.csv", "shop import --encoding=windows-1252 old.csv", "shop import --json spring/*.csv")
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
	handOver := func(file string) (*upload, error) { return handOver(ctx, shop, s.Data, file, text) }
	if s.cloud != nil {
		handOver = func(file string) (*upload, error) { return s.cloud.handOver(ctx, shop, file, c.Encoding) }
	} else if err := served(ctx, shop, s.Data); err != nil {
		return err
	}
	uploads := make([]*upload, len(c.Files))
	for i, f := range c.Files {
		u, err := handOver(f)
		if err != nil {
			return err
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
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("check: %w", err)
		}
		var answer json.RawMessage
		path := "/catalog/product-imports/" + url.PathEscape(filepath.Base(file)) + "/check"
		if c.Encoding != "" {
			path += "?encoding=" + url.QueryEscape(c.Encoding)
		}
		if err := s.client().upload(ctx, path, text, &answer); err != nil {
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

// progress draws how far the shop has read an upload.
func (s *session) progress(u *upload) func(importRun) {
	if !s.watched() {
		return func(importRun) {}
	}
	bar := progressbar.NewOptions64(u.size, progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription(u.key),
		progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	return func(r importRun) {
		_ = bar.Set64(min(r.Offset, u.size)) // it is only drawn
		if r.ended() {
			_ = bar.Finish()
		}
	}
}

// upload is a file handed over to a shop.
type upload struct {
	key    string
	path   string    // where it waits to be claimed; not on AWS
	size   int64     // bytes
	before time.Time // when the latest run of the key started that is none of ours; zero: none
	// claimed waits until the shop has begun.
	claimed func(context.Context) error
}

// handOver copies a file into the bucket, whole or not at all.
func handOver(ctx context.Context, shop *client, data, file string, text encoding.Encoding) (*upload, error) {
	key := filepath.Base(file)
	dir := filepath.Join(data, bucket)
	u := &upload{key: key, path: filepath.Join(dir, key)}
	u.claimed = u.taken
	if _, err := os.Lstat(u.path); err == nil {
		return nil, fmt.Errorf("import %s: a file of this name waits in %s already; try again when the shop has taken it", file, dir)
	}
	run, err := u.run(ctx, shop)
	if err != nil {
		return nil, err
	}
	u.before = run.StartedAt
	if u.size, err = copyInto(u.path, file, text); err != nil {
		return nil, fmt.Errorf("import %s: %w", file, err)
	}
	return u, nil
}

// copyInto copies under a name that the shop passes over, and renames. The copy is in
// UTF-8, whatever the encoding of the file: a folder can't say what a file's is.
func copyInto(target, file string, text encoding.Encoding) (size int64, err error) {
	source, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	from := io.Reader(source)
	if text != nil {
		from = text.NewDecoder().Reader(source)
	}
	to, err := os.CreateTemp(filepath.Dir(target), ".import-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(to.Name()) // gone where the rename went well
	size, err = io.Copy(to, from)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		return 0, err
	}
	return size, os.Rename(to.Name(), target)
}

// run is the key's latest one, read from the log; the zero value where there is none.
func (u *upload) run(ctx context.Context, shop *client) (importRun, error) {
	var r importRun
	err := shop.get(ctx, "/catalog/product-imports/"+url.PathEscape(u.key)+"?minVersion=0", &r)
	if isProblem(err, "ProductImportNotFound") {
		err = nil
	}
	return r, err
}

// wait returns the upload's run once it has ended.
func (u *upload) wait(ctx context.Context, shop *client, progress func(importRun)) (run importRun, err error) {
	if err := u.claimed(ctx); err != nil {
		return run, err
	}
	err = await(ctx, func() (bool, error) {
		if run, err = u.run(ctx, shop); err != nil || !run.StartedAt.After(u.before) {
			return false, err
		}
		progress(run)
		return run.ended(), nil
	})
	if ctx.Err() != nil {
		err = fmt.Errorf("the shop goes on importing %s by itself (%w)", u.key, err)
	}
	return run, err
}

// taken waits until a shop has taken the file.
func (u *upload) taken(ctx context.Context) error {
	late := fmt.Errorf("no shop has taken %s within %s, so it was removed again: is --data (SHOP_DATA) the folder of the shop at --addr?", u.path, claimTime)
	ctx, cancel := context.WithTimeoutCause(ctx, claimTime, late)
	defer cancel()
	err := await(ctx, func() (bool, error) {
		_, err := os.Lstat(u.path)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		return false, err
	})
	if errors.Is(err, late) {
		_ = os.Remove(u.path) // the text of late says why we look no further
	}
	return err
}

// servingFile tells in a data folder where the shop that uses it listens.
const servingFile = "serving.json"

// serving is the content of servingFile.
type serving struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

// announce writes servingFile; forget removes it.
func announce(data, url string) (forget func(), err error) {
	file := filepath.Join(data, servingFile)
	b, err := json.Marshal(serving{url, os.Getpid()})
	if err == nil {
		err = os.WriteFile(file, append(b, '\n'), 0o600)
	}
	return func() { _ = os.Remove(file) }, err
}

// served is an error unless the shop answers and the folder is its.
func served(ctx context.Context, shop *client, data string) error {
	if err := shop.get(ctx, "/health", nil); err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(data, servingFile))
	if err != nil {
		return fmt.Errorf("no shop is being served from the folder %s (%w): say with --data or SHOP_DATA which one the shop at %s uses", data, err, shop.base)
	}
	var at serving
	if err := json.Unmarshal(b, &at); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Join(data, servingFile), err)
	}
	if !sameAddress(at.URL, shop.base) {
		return fmt.Errorf("the folder %s belongs to the shop at %s, not to the one at %s: say with --addr or --data which one you mean", data, at.URL, shop.base)
	}
	return nil
}

// sameAddress compares the ports alone: a shop goes by several names of one machine.
func sameAddress(a, b string) bool {
	x, err := url.Parse(a)
	y, err2 := url.Parse(b)
	return err == nil && err2 == nil && x.Port() == y.Port()
}
