package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"onlineshop/es/engine"
	"onlineshop/platform/portable"
)

// Backup is a [portable.Source]: the store as it is when it is called.
func (s *Store) Backup(ctx context.Context, yield func(portable.Line) error) error {
	lines := s.Kept()
	for _, k := range s.AllKeys() {
		lines = append(lines, portable.Line{Key: &k})
	}
	for _, c := range s.AllCommits() {
		stored, err := Stored(c)
		if err != nil {
			return err
		}
		lines = append(lines, portable.Line{Commit: &stored})
	}
	for _, l := range append(lines, s.beginnings()...) {
		if err := errors.Join(ctx.Err(), yield(l)); err != nil {
			return err
		}
	}
	return nil
}

// Stored is a commit as a backup holds it.
func Stored(c engine.Commit) (portable.Commit, error) {
	events, meta, err := c.Encode()
	return portable.Commit{Stream: c.Stream, Seq: c.Seq, Version: c.Version, Events: events, Meta: meta, Hash: c.Hash}, err
}

// Kept is what a backup holds beside commits, keys and starts.
func (s *Store) Kept() (lines []portable.Line) {
	for _, c := range s.AllCursors() {
		lines = append(lines, portable.Line{Cursor: &c})
	}
	for _, p := range s.AllParked() {
		lines = append(lines, portable.Line{Parked: &p})
	}
	for _, r := range s.AllRejections() {
		lines = append(lines, portable.Line{Rejection: &r})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.schedules)) {
		st := s.schedules[name]
		lines = append(lines, portable.Line{Schedule: &st})
	}
	return lines
}

func (s *Store) beginnings() (lines []portable.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.starts {
		for _, f := range slices.Sorted(maps.Keys(known)) {
			lines = append(lines, portable.Line{Start: &portable.Start{Follower: f, After: known[f]}})
		}
	}
	return lines
}

// AllCursors returns where each follower is, by consumer and stream.
func (s *Store) AllCursors() (cursors []portable.Cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, next := range s.cursors {
		cursors = append(cursors, portable.Cursor{Consumer: k.consumer, Stream: k.stream, Next: next})
	}
	slices.SortFunc(cursors, func(a, b portable.Cursor) int {
		return cmp.Or(strings.Compare(a.Consumer, b.Consumer), strings.Compare(a.Stream.String(), b.Stream.String()))
	})
	return cursors
}

// AllKeys returns every key of personal data, destroyed ones included, by stream.
func (s *Store) AllKeys() (keys []portable.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st, key := range s.keys {
		keys = append(keys, portable.Key{Stream: st, Key: bytes.Clone(key), Erased: key == nil})
	}
	slices.SortFunc(keys, func(a, b portable.Key) int { return strings.Compare(a.Stream.String(), b.Stream.String()) })
	return keys
}

// AllCommits returns the log in the order in which it was appended.
func (s *Store) AllCommits() []engine.Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]engine.Commit, s.position)
	for st, log := range s.log {
		for i, c := range log {
			all[s.positions[st][i]] = c
		}
	}
	return slices.DeleteFunc(all, func(c engine.Commit) bool { return c.Events == nil }) // which tests took
}

// Restoring is a store that is being restored. It implements [portable.Target].
type Restoring struct {
	store *Store
	id    string
}

// NewRestoring returns what restores into the store, which must be empty.
func NewRestoring(s *Store) *Restoring { return &Restoring{store: s} }

// Begin implements [portable.Target].
func (r *Restoring) Begin(_ context.Context, id string) (done int64, err error) {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.id != "" && r.id != id:
		return 0, errors.New("another file was being restored")
	case r.id == "" && (s.position > 0 || len(s.cursors) > 0):
		return 0, errors.New("the store is not empty")
	}
	r.id = id
	return s.position, nil
}

// Keep implements [portable.Target]. Of a stream whose key is there, or destroyed, that stays
// so.
func (r *Restoring) Keep(_ context.Context, lines []portable.Line) error {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lines {
		switch {
		case l.Cursor != nil:
			k := key{l.Cursor.Consumer, l.Cursor.Stream}
			s.cursors[k] = max(s.cursors[k], l.Cursor.Next)
		case l.Parked != nil:
			s.parked[key{l.Parked.Consumer, l.Parked.Stream}] = *l.Parked
		case l.Rejection != nil:
			s.rejected[l.Rejection.Command] = *l.Rejection
		case l.Schedule != nil:
			s.schedules[l.Schedule.Name] = *l.Schedule
		case l.Key != nil:
			if _, there := s.keys[l.Key.Stream]; !there {
				s.keys[l.Key.Stream] = l.Key.Key
			}
		case l.Start != nil:
			plugin := engine.ParseConsumer(l.Start.Follower).Plugin()
			if s.starts[plugin] == nil {
				s.starts[plugin] = map[string]int64{}
			}
			s.starts[plugin][l.Start.Follower] = l.Start.After
		}
	}
	return nil
}

// Append implements [portable.Target].
func (r *Restoring) Append(ctx context.Context, commits []portable.Commit) error {
	for _, stored := range commits {
		c := engine.Commit{Stream: stored.Stream, Seq: stored.Seq, Version: stored.Version, Hash: stored.Hash}
		if err := errors.Join(json.Unmarshal(stored.Events, &c.Events), json.Unmarshal(stored.Meta, &c.Meta)); err != nil {
			return fmt.Errorf("commit %d of %s: %w", c.Seq, c.Stream, err)
		}
		if err := r.store.Append(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// End implements [portable.Target].
func (r *Restoring) End(context.Context) error {
	r.id = ""
	return nil
}

// Scratch is a [portable.Scratch] in memory: of files that are small.
type Scratch map[string][]byte

// Set implements [portable.Scratch].
func (s Scratch) Set(key, value []byte) error {
	s[string(key)] = bytes.Clone(value)
	return nil
}

// Get implements [portable.Scratch].
func (s Scratch) Get(key []byte) ([]byte, error) { return bytes.Clone(s[string(key)]), nil }

// Each implements [portable.Scratch].
func (s Scratch) Each(prefix []byte, yield func(key, value []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(s)) {
		if strings.HasPrefix(k, string(prefix)) {
			if err := yield([]byte(k), s[k]); err != nil {
				return err
			}
		}
	}
	return nil
}
