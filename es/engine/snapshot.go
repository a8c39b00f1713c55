package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"time"
)

// snapshot is the stored form of an aggregate's state. It is gzipped.
type snapshot struct {
	Sources   string          `json:"sources"`
	Next      int64           `json:"next"`
	Link      []byte          `json:"link,omitempty"` // absent: an earlier version's
	Version   int64           `json:"version"`
	Owner     string          `json:"owner"`
	State     json.RawMessage `json:"state"`
	Last      time.Time       `json:"last"`
	Recent    []dedupEntry    `json:"recent"`
	Forgot    time.Time       `json:"forgot"`
	Forgotten *filter         `json:"forgotten,omitempty"`
}

// restore fills f from a snapshot and returns the seq to continue reading at. Snapshots
// are best effort: if anything is wrong with one, the log serves.
func (e *Engine) restore(ctx context.Context, s Stream, f *aggregateState) int64 {
	data, err := e.Snapshots.Snapshot(ctx, s)
	if err != nil || data == nil {
		if err != nil {
			e.Logger.WarnContext(ctx, "snapshot not read, the log serves", "stream", s, "error", err)
		}
		return 0
	}
	if data, err = e.openSnapshot(ctx, s, f, data); err != nil || data == nil {
		if err != nil {
			e.Logger.WarnContext(ctx, "snapshot not opened, the log serves", "stream", s, "error", err)
		}
		return 0
	}
	var n snapshot
	state, err := func() (any, error) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		raw, err := io.ReadAll(z)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &n); err != nil || n.Sources != f.of.Sources {
			return nil, err
		}
		return f.of.DecodeState(n.State)
	}()
	if err != nil {
		e.Logger.WarnContext(ctx, "snapshot not usable, the log serves", "stream", s, "error", err)
	}
	f.Lock()
	defer f.Unlock()
	if err == nil && state != nil && !f.read {
		f.read, f.next, f.version, f.owner, f.state = true, n.Next, n.Version, n.Owner, state
		f.link, f.unlinked = n.Link, n.Link == nil
		if f.of.subject != nil {
			f.texts = textsIn(n.State)
		}
		f.last, f.window, f.evictedUntil, f.evicted, f.snapshotAt = n.Last, n.Recent, n.Forgot, n.Forgotten, n.Next
		f.bytes += int64(len(n.State)) + 160*int64(len(n.Recent))
	}
	if f.unlinked {
		return f.next - 1 // the commit that has the link
	}
	return f.next
}

// snapshotPlace is what a sealed snapshot is, beside its stream.
const snapshotPlace = "snapshot"

// openSnapshot returns what was sealed; nil: of an earlier version, which did not seal it,
// or of a subject that is erased.
func (e *Engine) openSnapshot(ctx context.Context, s Stream, f *aggregateState, data []byte) ([]byte, error) {
	if f.of.subject == nil {
		return data, nil
	}
	if len(data) == 0 || data[0] != '"' {
		return nil, nil
	}
	o := e.openerFor(f)
	err := o.ask(ctx)
	if err != nil {
		return nil, err
	}
	if f.learn(o); o.key == nil || o.erased {
		return nil, nil
	}
	return openValue(o.key, data, s.String(), snapshotPlace)
}

// save stores a snapshot if one is due.
func (e *Engine) save(ctx context.Context, f *aggregateState) {
	if e.Snapshots == nil {
		return
	}
	f.Lock()
	if f.next-f.snapshotAt < e.SnapshotEvery || f.of.subject != nil && f.key == nil {
		f.Unlock()
		return
	}
	f.snapshotAt = f.next
	s := Stream{f.of.Name, f.id}
	data, err := func() ([]byte, error) {
		state, err := f.of.EncodeState(f.state)
		if err != nil {
			return nil, err
		}
		raw, err := json.Marshal(snapshot{f.of.Sources, f.next, f.link, f.version, f.owner, state, f.last, f.window, f.evictedUntil, f.evicted})
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(raw)
		if err = z.Close(); err != nil || f.of.subject == nil {
			return b.Bytes(), err
		}
		return sealValue(f.key, b.Bytes(), s.String(), snapshotPlace)
	}()
	f.Unlock()
	if err == nil {
		err = e.Snapshots.SaveSnapshot(ctx, s, data)
	}
	if err != nil {
		e.Count("SnapshotSkipped", f.of.Name)
		e.Logger.WarnContext(ctx, "snapshot not saved", "stream", s, "error", err)
	}
}
