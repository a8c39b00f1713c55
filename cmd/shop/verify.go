package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/httpapi"
)

type verifyCommand struct {
	Heads  string `help:"Write the head of each stream to this file: its last commit, and the link that tells all of it." placeholder:"FILE"`
	Expect string `help:"Compare with heads that were written earlier: a stream may have grown since, and not changed." placeholder:"FILE"`
}

// Help is shown by --help.
func (verifyCommand) Help() string {
	return examples("Looks at every stream, row and cursor: whether each stream is whole and can be read by this program, and whether what follows from it equals what it says. It changes nothing. The data folder is read if no shop has it open, otherwise the shop is asked. The exit code is 1 if anything is wrong.",
		"shop verify", "shop verify --heads heads.txt # and keep that file elsewhere", "shop verify --expect heads.txt", "shop verify --stack Shop")
}

// verified is what verify tells.
type verified struct {
	engine.Claims
	Findings []engine.Finding `json:"findings"`
}

// Run verifies page by page.
func (c verifyCommand) Run(ctx context.Context, s *session) (err error) {
	shop, done, err := s.verifier(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	expected, err := readHeads(c.Expect)
	if err != nil {
		return err
	}
	heads, flush, err := writeHeads(c.Heads)
	if err != nil {
		return err
	}
	var all verified
	bar := s.counting("verify", -1)
	for next := (step{}); ; {
		v := engine.Verified{}
		if err := shop.post(ctx, "/operations/verify", "", next, &v); err != nil {
			return after(err, all.Streams, "streams")
		}
		all.add(v)
		for _, h := range v.Heads {
			heads(h)
			found, err := expected.compare(ctx, shop, h)
			if err != nil {
				return err
			}
			all.Findings = append(all.Findings, found...)
		}
		_ = bar.Add(v.Done) // it is only drawn
		if next.Cursor = v.Next; next.Cursor == "" {
			break
		}
	}
	_ = bar.Finish()
	all.Findings = append(all.Findings, expected.missing()...)
	if err := flush(); err != nil {
		return err
	}
	return all.tell(s)
}

func (v *verified) add(o engine.Verified) {
	v.Streams += o.Claims.Streams
	v.Commits += o.Claims.Commits
	v.Hashed += o.Claims.Hashed
	v.Rows += o.Claims.Rows
	v.Behind += o.Claims.Behind
	v.Cursors += o.Claims.Cursors
	v.Findings = append(v.Findings, o.Findings...)
}

// tell prints what was verified; the error is that something is wrong.
func (v verified) tell(s *session) error {
	if s.JSON {
		if v.Findings == nil {
			v.Findings = []engine.Finding{}
		}
		if err := s.printJSON(v); err != nil {
			return err
		}
	} else {
		if len(v.Findings) > 0 {
			table := s.table("STREAM", "WRONG")
			for _, f := range v.Findings {
				fmt.Fprintf(table, "%s\t%s\n", f.Stream, f.Detail)
			}
			if err := table.Flush(); err != nil {
				return err
			}
		}
		s.printf("%d streams are whole, with %d commits, %d of which have hashes.\n", v.Streams, v.Commits, v.Hashed)
		s.printf("%d rows equal what their logs say; %d more have not seen the latest commits yet.\n", v.Rows, v.Behind)
		s.printf("%d cursors are within their streams.\n", v.Cursors)
	}
	if n := len(v.Findings); n > 0 {
		return fmt.Errorf("wrong: %d; keep a copy of the data before anything else. "+
			"Where it says %s, the data is whole: run the version that wrote it, or one with an es.Upcast for it. "+
			"Otherwise restore a backup, or rebuild what is only a view", n, es.ErrUnknownType)
	}
	return nil
}

// drawn is where progress is drawn.
func (s *session) drawn() io.Writer {
	if s.watched() {
		return s.err
	}
	return io.Discard
}

// verifier is the shop that is verified: on AWS or at an address, as for other commands; or
// the data folder, if it is here and no shop has it open, served in this process.
func (s *session) verifier(ctx context.Context) (_ *client, done func() error, err error) {
	none := func() error { return nil }
	if s.cloud != nil || !s.alone() {
		return s.client().patient(s.err), none, nil
	}
	platform, all, err := s.openFolder(ctx)
	if err != nil {
		return nil, none, err
	}
	quiet := slog.New(slog.DiscardHandler) // what is wrong is among the findings
	done = func() error { return drain(ctx, platform.Close) }
	api, err := httpapi.New(httpapi.Config{Title: title, Engine: platform.Engine(), Plugins: all, Version: programVersion(), Identity: httpapi.Local(), Logger: quiet})
	if err != nil {
		return nil, none, errors.Join(err, done())
	}
	folder := &cloud{base: &url.URL{Scheme: "http", Host: "data"}, api: api, user: "verify"}
	return folder.client(), done, nil
}

// A file of heads has a line for each stream: its name, the place of its last commit, and
// that commit's link in base64, or a dash.

// writeHeads returns what writes to such a file, and what ends it; "": nothing is written.
func writeHeads(name string) (write func(engine.Head), flush func() error, err error) {
	if name == "" {
		return func(engine.Head) {}, func() error { return nil }, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, nil, err
	}
	b := bufio.NewWriter(f)
	write = func(h engine.Head) {
		link := "-"
		if h.Link != nil {
			link = base64.StdEncoding.EncodeToString(h.Link)
		}
		fmt.Fprintf(b, "%s %d %s\n", strconv.Quote(h.Stream), h.Seq, link)
	}
	return write, func() error { return errors.Join(b.Flush(), f.Sync(), f.Close()) }, nil
}

// heads are those of a file, by stream, less those that were seen.
type heads map[string]engine.Head

func readHeads(name string) (heads, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := heads{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var h engine.Head
		var link string
		if _, err := fmt.Sscanf(lines.Text(), "%q %d %s", &h.Stream, &h.Seq, &link); err != nil {
			return nil, fmt.Errorf("%s, line %d is not a stream's head: %w", name, n, err)
		}
		if link != "-" {
			if h.Link, err = base64.StdEncoding.DecodeString(link); err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
			}
		}
		out[h.Stream] = h
	}
	return out, lines.Err()
}

// compare returns what differs of a stream, which has that head now.
func (x heads) compare(ctx context.Context, shop *client, now engine.Head) ([]engine.Finding, error) {
	want, ok := x[now.Stream]
	if !ok {
		return nil, nil
	}
	delete(x, now.Stream)
	wrong := func(format string, args ...any) []engine.Finding {
		return []engine.Finding{{Stream: now.Stream, Detail: fmt.Sprintf(format, args...)}}
	}
	if now.Seq < want.Seq {
		return wrong("it ends at commit %d, and had %d", now.Seq, want.Seq), nil
	}
	if now.Seq > want.Seq {
		var p page[engine.Head]
		if err := shop.post(ctx, "/operations/head", "", map[string]any{"stream": want.Stream, "seq": want.Seq}, &p); err != nil {
			return nil, err
		}
		if len(p.Items) == 0 {
			return wrong("commit %d is gone", want.Seq), nil
		}
		now = p.Items[0]
	}
	if !bytes.Equal(now.Link, want.Link) {
		return wrong("up to commit %d it is not what it was", want.Seq), nil
	}
	return nil, nil
}

// missing are the streams that were not seen.
func (x heads) missing() (out []engine.Finding) {
	for name := range x {
		out = append(out, engine.Finding{Stream: name, Detail: "it is gone, or damaged, and was there"})
	}
	slices.SortFunc(out, func(a, b engine.Finding) int { return strings.Compare(a.Stream, b.Stream) })
	return out
}
