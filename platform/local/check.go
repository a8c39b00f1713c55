package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"onlineshop/es/engine"
)

// errToRead is what a folder that is opened to be read says to those who write.
var errToRead = errors.New("the data folder is opened to be read only")

// OpenToRead opens a data folder that no shop has open. It writes nothing to it, and
// nothing is done: whoever sends a command is refused.
func OpenToRead(ctx context.Context, o Options) (*Platform, error) {
	if _, err := os.Stat(databaseDir(o.Dir)); err != nil {
		return nil, fmt.Errorf("open the data folder %s: %w; a folder of an earlier version has to be opened by \"shop serve\" once", o.Dir, err)
	}
	o.toRead = true
	return Open(ctx, o)
}

// HasShop reports whether the folder is a shop's, and nobody has it open.
func HasShop(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
		return false
	}
	l, err := lockFolder(dir)
	return err == nil && l.release() == nil
}

// checkPage is how many commits a step of checkLog looks at.
const checkPage = 5000

// checkLog looks at the order of all commits: that no position is missing, that each stream
// has what the order has, and that the end is there. cursor is the position before.
func (s *store) checkLog(ctx context.Context, cursor string) (found []engine.Finding, next string, err error) {
	found = []engine.Finding{}
	var before int64
	if cursor != "" {
		if before, err = strconv.ParseInt(cursor, 10, 64); err != nil {
			return nil, "", engine.ErrCursor
		}
	} else if l := s.trouble.lost.Load(); l != nil && errors.Is(*l, engine.ErrDamaged) {
		found = append(found, engine.Finding{Stream: "the log", Detail: (*l).Error()})
	}
	n := 0
	err = s.scan(ctx, keyIn(tableCommits), commitKey(before+1), forward, func(k, v []byte) (bool, error) {
		if n == checkPage {
			next = strconv.FormatInt(before, 10)
			return false, nil
		}
		n++
		at := partsOf(k).number()
		if at > s.feed.last() {
			return false, nil
		}
		f := fields{rest: v}
		r := recordOf(&f)
		if f.bad {
			found = append(found, engine.Finding{Stream: "the log", Detail: fmt.Sprintf("position %d is not a commit", at)})
		} else if len(r.hash) > 0 && at != before+1 { // earlier versions may have left gaps
			found = append(found, engine.Finding{Stream: "the log", Detail: fmt.Sprintf("positions %d to %d are missing; %s at commit %d follows", before+1, at-1, r.stream, r.seq)})
		}
		before = at
		if f.bad {
			return true, nil
		}
		var listed int64
		there, err := read(s.db, streamKey(r.stream, r.seq), func(f *fields) { listed = f.number() })
		if err != nil {
			return false, err
		}
		if !there || listed != at {
			found = append(found, engine.Finding{Stream: r.stream.String(), Detail: fmt.Sprintf("commit %d is at position %d, and the stream does not have it there", r.seq, at)})
		}
		return true, nil
	})
	return found, next, err
}
