package engine

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"onlineshop/es"
)

// aggregateState is a stream's state with the ids of its latest commits. Its mutex is
// never held across a port call.
type aggregateState struct {
	sync.Mutex
	of *aggregate
	id string

	read       bool // something of the stream was read; false: speculating that it is empty
	next       int64
	version    int64
	state      any
	owner      string
	last       time.Time // of the latest commit
	window     []dedupEntry
	evictedUntil     time.Time // of the newest commit whose id is no longer in recent
	evicted  *filter   // the From of those ids; nil: none
	snapshotAt int64     // next, as of the latest snapshot
	bytes      int64     // estimate of what all of this takes
}

// dedupEntry is a commit's command, as much of it as a repeat needs.
type dedupEntry struct {
	From    fromHash  `json:"f"`
	At      int64     `json:"a,omitempty"`
	Nr      int64     `json:"n,omitempty"`
	Payload string    `json:"p"`
	Version int64     `json:"v"`
	Events  []string  `json:"e"`
	Time    time.Time `json:"t"`
}

// fromHash stands for an ID's From: 128 bits of SHA-256.
type fromHash [16]byte

func (h fromHash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

func (h *fromHash) UnmarshalText(b []byte) error {
	_, err := hex.Decode(h[:], b)
	return err
}

func hashFrom(from string) fromHash {
	h := sha256.Sum256([]byte(from))
	return fromHash(h[:16])
}

// covers says whether a command with the id was decided already, as far as this
// commit can tell.
func (r dedupEntry) covers(from fromHash, id CommandID) bool {
	return r.From == from && (r.At > id.Seq || r.At == id.Seq && r.Nr >= id.Index)
}

// find returns the commit that covers the id.
func (f *aggregateState) find(from fromHash, id CommandID) *dedupEntry {
	for i := len(f.window) - 1; i >= 0; i-- {
		if f.window[i].covers(from, id) {
			return &f.window[i]
		}
	}
	return nil
}

// mayBeEvicted says whether a commit that covers the id may lie further
// back than recent reaches, given when the command was made.
func (f *aggregateState) mayBeEvicted(from fromHash, since time.Time) bool {
	return f.evicted != nil && !since.After(f.evictedUntil) && f.evicted.mayHave(from)
}

// add folds the stream's next commit; events are its decoded events.
func (f *aggregateState) add(c Commit, events []any, memory int) (err error) {
	defer Guard(fmt.Sprintf("fold %s at %d", c.Stream, c.Seq), &err)
	names := make([]string, len(events))
	for i, e := range events {
		f.state = f.of.Evolve(e, f.state)
		names[i] = c.Events[i].Type
		f.bytes += int64(len(c.Events[i].Data)) / 2 // much of it replaces what was there
	}
	if c.Seq == 0 {
		f.owner = c.Meta.Owner
	}
	f.read, f.next, f.version, f.last = true, c.Seq+1, c.Version, c.Meta.Time
	f.bytes += 160
	f.window = append(f.window, dedupEntry{hashFrom(c.Meta.Command.Origin), c.Meta.Command.Seq, c.Meta.Command.Index, c.Meta.Payload, c.Version, names, c.Meta.Time})
	if drop := len(f.window) - memory; drop > 0 {
		if f.evicted == nil {
			f.evicted = &filter{}
			f.bytes += int64(len(f.evicted)) * 8
		}
		for _, r := range f.window[:drop] {
			f.evictedUntil = r.Time
			f.evicted.add(r.From)
		}
		f.window = f.window[drop:] // append moves on to a new array when this one is used up
		f.bytes -= 160 * int64(drop)
	}
	return nil
}

// filter is a Bloom filter of the Froms that are no longer remembered: it keeps
// a catch-up of thousands of old commands on one aggregate from reading the
// whole stream for each. Of 10,000 ids 5 % are looked up in vain.
type filter [1024]uint64

func (f *filter) bits(h fromHash) (out [4]uint64) {
	a, b := binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:])
	for i := range out {
		out[i] = (a + uint64(i)*b) % uint64(len(f)*64)
	}
	return out
}

func (f *filter) add(h fromHash) {
	for _, b := range f.bits(h) {
		f[b/64] |= 1 << (b % 64)
	}
}

func (f *filter) mayHave(h fromHash) bool {
	for _, b := range f.bits(h) {
		if f[b/64]&(1<<(b%64)) == 0 {
			return false
		}
	}
	return true
}

// catchUp brings f to the end of its stream.
func (e *Engine) catchUp(ctx context.Context, f *aggregateState) error {
	f.Lock()
	read, from := f.read, f.next
	f.Unlock()
	s := Stream{f.of.Name, f.id}
	if !read && e.Snapshots != nil {
		from = e.restore(ctx, s, f)
	}
	err := e.commits(ctx, s, from, func(c Commit) error { return e.absorb(f, c) })
	f.Lock()
	f.read = f.read || err == nil
	f.Unlock()
	return err
}

// absorb folds a commit if it is the next one.
func (e *Engine) absorb(f *aggregateState, c Commit) error {
	f.Lock()
	defer f.Unlock()
	if c.Seq != f.next {
		return nil // folded already, by a neighbour
	}
	decoded, err := f.of.decode(c)
	if err != nil {
		return err
	}
	events := make([]any, len(decoded))
	for i, d := range decoded {
		events[i] = d.Event
	}
	if err := f.add(c, events, e.DedupWindow); err != nil {
		e.cache.drop(c.Stream) // half folded
		return err
	}
	return nil
}

// snapshot is a folded stream as it is stored, gzipped.
type snapshot struct {
	Sources   string          `json:"sources"`
	Next      int64           `json:"next"`
	Version   int64           `json:"version"`
	Owner     string          `json:"owner"`
	State     json.RawMessage `json:"state"`
	Last      time.Time       `json:"last"`
	Recent    []dedupEntry    `json:"recent"`
	Forgot    time.Time       `json:"forgot"`
	Forgotten *filter         `json:"forgotten,omitempty"`
}

// restore fills f from a snapshot and returns where reading goes on. Snapshots
// are best effort: whatever is wrong with one, the log has everything.
func (e *Engine) restore(ctx context.Context, s Stream, f *aggregateState) int64 {
	data, err := e.Snapshots.Snapshot(ctx, s)
	if err != nil || data == nil {
		if err != nil {
			e.Logger.WarnContext(ctx, "snapshot not read, the log serves", "stream", s, "error", err)
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
		f.last, f.window, f.evictedUntil, f.evicted, f.snapshotAt = n.Last, n.Recent, n.Forgot, n.Forgotten, n.Next
		f.bytes += int64(len(n.State)) + 160*int64(len(n.Recent))
	}
	return f.next
}

// save keeps a snapshot where one is due.
func (e *Engine) save(ctx context.Context, f *aggregateState) {
	if e.Snapshots == nil {
		return
	}
	f.Lock()
	if f.next-f.snapshotAt < e.SnapshotEvery {
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
		raw, err := json.Marshal(snapshot{f.of.Sources, f.next, f.version, f.owner, state, f.last, f.window, f.evictedUntil, f.evicted})
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(raw)
		err = z.Close()
		return b.Bytes(), err
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

// cache keeps recently used folded streams, bounded by their estimated bytes.
type cache struct {
	mu    sync.Mutex
	max   int64
	used  int64
	order *list.List // of *slot, latest used first
	slots map[Stream]*list.Element
}

type slot struct {
	*aggregateState
	stream Stream
	bytes  int64 // as counted in used
}

func newCache(max int64) *cache {
	return &cache{max: max, order: list.New(), slots: map[Stream]*list.Element{}}
}

// folded returns the stream's entry, made where there is none.
func (c *cache) folded(a *aggregate, id string) *aggregateState {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stream{a.Name, id}
	if el := c.slots[s]; el != nil {
		c.order.MoveToFront(el)
		return el.Value.(*slot).aggregateState
	}
	f := &aggregateState{of: a, id: id, state: a.Initial, bytes: int64(len(id)) + 400}
	c.slots[s] = c.order.PushFront(&slot{f, s, 0})
	return f
}

// settle counts the entry's present size, and lets the least used ones go.
func (c *cache) settle(f *aggregateState) {
	f.Lock()
	size := f.bytes
	f.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.slots[Stream{f.of.Name, f.id}]; el != nil && el.Value.(*slot).aggregateState == f {
		s := el.Value.(*slot)
		c.used += size - s.bytes
		s.bytes = size
	}
	for c.used > c.max && c.order.Len() > 1 {
		c.remove(c.order.Back())
	}
}

func (c *cache) drop(s Stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.slots[s]; el != nil {
		c.remove(el)
	}
}

func (c *cache) remove(el *list.Element) {
	s := c.order.Remove(el).(*slot)
	c.used -= s.bytes
	delete(c.slots, s.stream)
}

// reader is what checks, side effects and tasks read through.
type reader struct {
	*Engine
	caller es.Caller
	// loaded is what one decision has read: a stream that its rules read twice
	// costs one read. nil: every read is a new one.
	loaded map[Stream]es.Loaded
}

func (r reader) Caller() es.Caller { return r.caller }

// Load implements [es.Reader].
func (r reader) Load(ctx context.Context, name, id string) (es.Loaded, error) {
	a := r.aggregates[name]
	switch {
	case a == nil:
		return es.Loaded{}, fmt.Errorf("load %s %q: there is no such aggregate in this plugin", name, id)
	case a.InPlace:
		return es.Loaded{}, fmt.Errorf("load %s %q: it evolves in place and can't be read by others", name, id)
	case !es.ValidInternalID(id):
		return es.Loaded{State: a.Initial}, nil // nothing can be there
	}
	s := Stream{name, id}
	if l, ok := r.loaded[s]; ok {
		return l, nil
	}
	f := r.cache.folded(a, id)
	err := r.catchUp(ctx, f)
	r.cache.settle(f)
	if err != nil {
		return es.Loaded{}, fmt.Errorf("load %s %q: %w", name, id, err)
	}
	f.Lock()
	defer f.Unlock()
	l := es.Loaded{State: f.state, Owner: f.owner, Version: f.version}
	if r.loaded != nil {
		r.loaded[s] = l
	}
	return l, nil
}
