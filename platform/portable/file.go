package portable

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"filippo.io/age"
	jsonv2 "github.com/go-json-experiment/json" // keeps raw values as they are
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"

	"onlineshop/es/engine"
)

// Writer writes a file. It is not safe for concurrent use.
type Writer struct {
	zip     *zstd.Encoder
	sum     hash.Hash
	line    []byte
	commits int64
	lines   int64
	safe    *safe // nil: it holds no keys
	keys    []byte
}

// NewWriter returns what writes a file to w, which is the caller's to close.
func NewWriter(w io.Writer) (*Writer, error) {
	zip, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowSize))
	if err != nil {
		return nil, err
	}
	return &Writer{zip: zip, sum: sha256.New()}, nil
}

// windowSize bounds what compressing and reading take of memory.
const windowSize = 4 << 20

// Write writes a line that is neither a trailer nor of no kind.
func (w *Writer) Write(l Line) (err error) {
	switch {
	case l.Header != nil:
		h := *l.Header
		h.Keys = w.keys
		l.Header = &h
	case l.Key != nil && len(l.Key.Key) > 0:
		k := *l.Key
		if k.Key = nil; w.safe != nil {
			k.Key = w.safe.seal(k.Stream, l.Key.Key)
		}
		l.Key = &k
	}
	if w.line, err = appendLine(w.line[:0], l); err != nil {
		return err
	}
	if l.Commit != nil {
		w.commits++
	}
	w.lines++
	_, _ = w.sum.Write(w.line) // never fails
	_, err = w.zip.Write(w.line)
	return err
}

// Commits returns how many commits were written.
func (w *Writer) Commits() int64 { return w.commits }

// Close writes the trailer.
func (w *Writer) Close() error {
	t := Trailer{Commits: w.commits, Lines: w.lines + 1, SHA256: hex.EncodeToString(w.sum.Sum(nil))}
	return errors.Join(w.Write(Line{Trailer: &t}), w.zip.Close())
}

// The JSON of lines whose values stand in the file in another form.
type (
	commitLine struct {
		Stream  string         `json:"stream"`
		Seq     int64          `json:"seq"`
		Version int64          `json:"version"`
		Hash    []byte         `json:"hash,omitempty"`
		Events  jsontext.Value `json:"events"`
		Meta    jsontext.Value `json:"meta"`
	}
	cursorLine struct {
		Consumer string `json:"consumer"`
		Stream   string `json:"stream"`
		Next     int64  `json:"next"`
	}
	parkedLine struct {
		engine.Parked
		On string `json:"stream"`
	}
	rejectionLine struct {
		Command       engine.CommandID `json:"command"`
		Target        string           `json:"target,omitempty"`
		Code          string           `json:"code"`
		Detail        string           `json:"detail,omitempty"`
		Time          time.Time        `json:"time"`
		CorrelationID string           `json:"correlationId,omitempty"`
		User          string           `json:"user,omitempty"`
	}
	scheduleLine struct {
		Name  string               `json:"name"`
		Rev   int64                `json:"rev"`
		State engine.ScheduleState `json:"state"`
	}
	keyLine struct {
		Stream string `json:"stream"`
		Key    []byte `json:"key,omitempty"`
		Erased bool   `json:"erased,omitempty"`
	}
	anyLine struct {
		Header    *Header        `json:"header"`
		Commit    *commitLine    `json:"commit"`
		Cursor    *cursorLine    `json:"cursor"`
		Start     *Start         `json:"start"`
		Parked    *parkedLine    `json:"parked"`
		Rejection *rejectionLine `json:"rejection"`
		Schedule  *scheduleLine  `json:"schedule"`
		Key       *keyLine       `json:"key"`
		Trailer   *Trailer       `json:"trailer"`
	}
)

func appendLine(b []byte, l Line) (_ []byte, err error) {
	if c := l.Commit; c != nil {
		return appendCommit(b, c)
	}
	var kind string
	var v any
	switch {
	case l.Header != nil:
		kind, v = "header", l.Header
	case l.Cursor != nil:
		kind, v = "cursor", cursorLine{l.Cursor.Consumer, l.Cursor.Stream.String(), l.Cursor.Next}
	case l.Start != nil:
		kind, v = "start", l.Start
	case l.Parked != nil:
		kind, v = "parked", parkedLine{*l.Parked, l.Parked.Stream.String()}
	case l.Rejection != nil:
		r := rejectionLine{l.Rejection.Command, "", l.Rejection.Code, l.Rejection.Detail, l.Rejection.Time, l.Rejection.CorrelationID, l.Rejection.User}
		if l.Rejection.Target != (engine.Stream{}) {
			r.Target = l.Rejection.Target.String()
		}
		kind, v = "rejection", r
	case l.Schedule != nil:
		kind, v = "schedule", scheduleLine{l.Schedule.Name, l.Schedule.Rev, *l.Schedule}
	case l.Key != nil:
		kind, v = "key", keyLine{l.Key.Stream.String(), l.Key.Key, l.Key.Erased}
	case l.Trailer != nil:
		kind, v = "trailer", l.Trailer
	}
	value, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write a line of kind %q: %w", kind, err)
	}
	return fmt.Appendf(b, "{%q:%s}\n", kind, value), nil
}

// appendCommit keeps the stored bytes as they are, because the hash is of them.
func appendCommit(b []byte, c *Commit) ([]byte, error) {
	for _, stored := range [][]byte{c.Events, c.Meta} {
		if bytes.IndexByte(stored, '\n') >= 0 {
			return nil, fmt.Errorf("commit %d of %s is stored in several lines, which no version of this program writes", c.Seq, c.Stream)
		}
	}
	b = append(b, `{"commit":{"stream":`...)
	b, err := jsontext.AppendQuote(b, c.Stream.String())
	if err != nil {
		return nil, fmt.Errorf("commit %d of %s: %w", c.Seq, c.Stream, err)
	}
	b = fmt.Appendf(b, `,"seq":%d,"version":%d`, c.Seq, c.Version)
	if len(c.Hash) > 0 {
		hash, err := json.Marshal(c.Hash)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"hash":`...), hash...)
	}
	b = append(append(b, `,"events":`...), c.Events...)
	b = append(append(b, `,"meta":`...), c.Meta...)
	return append(b, "}}\n"...), nil
}

// ErrFile marks a file that is not whole, or not what was written.
var ErrFile = errors.New("the file can't be used")

// maxLine bounds a line: a commit has at most 400 KB on AWS, and the largest anywhere is far
// below this.
const maxLine = 64 << 20

// Reader reads a file. It is not safe for concurrent use.
type Reader struct {
	zip     *zstd.Decoder
	in      *bufio.Reader
	sum     hash.Hash
	long    []byte
	commits int64
	lines   int64
	// Only limits what is decoded to commits, or to what is none; other lines are counted,
	// and come without content.
	Only Part
	// Identities open the keys that the file holds; without, they come as ones that can't be
	// read.
	Identities []age.Identity
	safe       *safe
	end        *Trailer
}

// Part is a part of a file's lines.
type Part int

// Parts of a file.
const (
	Whole   Part = iota
	Commits      // and header and trailer
	Rest         // all but the commits
)

// NewReader returns what reads a file from r, which is the caller's to close.
func NewReader(r io.Reader) (*Reader, error) {
	zip, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(2*windowSize), zstd.WithDecoderMaxMemory(1<<40))
	if err != nil {
		return nil, err
	}
	return &Reader{zip: zip, in: bufio.NewReaderSize(zip, 256<<10), sum: sha256.New()}, nil
}

// Close frees what reading takes.
func (r *Reader) Close() { r.zip.Close() }

// Next returns the next line, and io.EOF after the trailer if the whole file is what was
// written. Any other error of the file's content is an [ErrFile]. What it returns is the
// caller's.
func (r *Reader) Next() (l Line, err error) {
	text, err := r.read()
	switch {
	case r.end != nil && errors.Is(err, io.EOF):
		return l, io.EOF
	case errors.Is(err, io.EOF) && r.lines == 0:
		return l, fmt.Errorf("%w: it is empty", ErrFile)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return l, fmt.Errorf("%w: it ends after %d lines and %d commits, without its last line: it was cut, or its backup did not come to its end", ErrFile, r.lines, r.commits)
	case err != nil && r.lines == 0:
		return l, fmt.Errorf("%w: it is not one that \"shop backup\" wrote: %w", ErrFile, err)
	case err != nil:
		return l, fmt.Errorf("%w: it is damaged after line %d: %w", ErrFile, r.lines, err)
	case r.end != nil:
		return l, fmt.Errorf("%w: something follows its last line", ErrFile)
	}
	r.lines++
	isCommit := bytes.HasPrefix(text, []byte(`{"commit":`))
	if isCommit {
		r.commits++
	}
	isEnd := bytes.HasPrefix(text, []byte(`{"trailer":`))
	if !isEnd {
		_, _ = r.sum.Write(text) // never fails
	}
	if r.lines > 1 && !isEnd && (isCommit && r.Only == Rest || !isCommit && r.Only == Commits) {
		return l, nil
	}
	if l, err = parse(text); err != nil {
		return l, fmt.Errorf("%w: line %d: %w", ErrFile, r.lines, err)
	}
	if err := r.check(l); err != nil {
		return l, err
	}
	if l.Header != nil {
		err = r.unlock(l.Header)
	}
	if k := l.Key; k != nil && len(k.Key) > 0 {
		sealed := k.Key
		if k.Key = nil; r.safe != nil {
			k.Key, err = r.safe.open(k.Stream, sealed)
		}
	}
	if err != nil {
		return l, fmt.Errorf("%w: line %d: %w", ErrFile, r.lines, err)
	}
	return l, nil
}

func (r *Reader) check(l Line) error {
	switch {
	case r.lines == 1 && l.Header == nil:
		return fmt.Errorf("%w: it is not one that \"shop backup\" wrote", ErrFile)
	case r.lines > 1 && l.Header != nil:
		return fmt.Errorf("%w: line %d is a second header", ErrFile, r.lines)
	case l.Header != nil && l.Header.Format > Format:
		return fmt.Errorf("%w: a newer version of this program wrote it (format %d, this one reads %d): use that one", ErrFile, l.Header.Format, Format)
	case l.Trailer != nil:
		if sum := hex.EncodeToString(r.sum.Sum(nil)); sum != l.Trailer.SHA256 || l.Trailer.Commits != r.commits || l.Trailer.Lines != r.lines {
			return fmt.Errorf("%w: it is not what was written: it has %d lines with %d commits and the hash %s, and its last line says %d, %d and %s",
				ErrFile, r.lines, r.commits, sum, l.Trailer.Lines, l.Trailer.Commits, l.Trailer.SHA256)
		}
		r.end = l.Trailer
	}
	return nil
}

// read returns the next line with its newline.
func (r *Reader) read() ([]byte, error) {
	text, err := r.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		if errors.Is(err, io.EOF) && len(text) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return text, err
	}
	r.long = append(r.long[:0], text...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(r.long) > maxLine {
			return nil, fmt.Errorf("a line has more than %d bytes", maxLine)
		}
		text, err = r.in.ReadSlice('\n')
		r.long = append(r.long, text...)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return r.long, err
}

func parse(text []byte) (l Line, err error) {
	var x anyLine
	if err := jsonv2.Unmarshal(text, &x, jsontext.AllowDuplicateNames(true)); err != nil {
		return l, err
	}
	l.Header, l.Start, l.Trailer = x.Header, x.Start, x.Trailer
	stream := func(name string) engine.Stream {
		s, bad := engine.ParseStream(name)
		err = errors.Join(err, bad)
		return s
	}
	if c := x.Commit; c != nil {
		l.Commit = &Commit{stream(c.Stream), c.Seq, c.Version, c.Events, c.Meta, c.Hash}
	}
	if c := x.Cursor; c != nil {
		l.Cursor = &Cursor{c.Consumer, stream(c.Stream), c.Next}
	}
	if p := x.Parked; p != nil {
		p.Stream = stream(p.On)
		l.Parked = &p.Parked
	}
	if r := x.Rejection; r != nil {
		l.Rejection = &engine.KeptRejection{Command: r.Command, Code: r.Code, Detail: r.Detail, Time: r.Time, CorrelationID: r.CorrelationID, User: r.User}
		if r.Target != "" {
			l.Rejection.Target = stream(r.Target)
		}
	}
	if k := x.Key; k != nil {
		l.Key = &Key{stream(k.Stream), k.Key, k.Erased}
	}
	if s := x.Schedule; s != nil {
		s.State.Name, s.State.Rev = s.Name, s.Rev
		l.Schedule = &s.State
	}
	return l, err
}
