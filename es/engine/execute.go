package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"onlineshop/es"
)

// Request is a command, who sends it, and what makes it take effect once.
type Request struct {
	es.Command
	Caller         es.Caller
	IdempotencyKey string // per caller and aggregate; empty: each request is a command of its own
	IfVersion      *int64 // refused with [ErrVersionMismatch] unless the aggregate has this version
	CorrelationID  string // empty: the message id
	Traceparent    string

	preview *Preview // what would be appended goes here, and not into the log; nil: it is appended
}

// Outcome is the result of an accepted command.
type Outcome struct {
	Version int64    // number of events in the aggregate's stream after the command
	Events  []string // names of the events appended; empty if there was nothing to change
}

// MaxCommit is the maximum size of a commit's events in bytes. A DynamoDB item holds
// 400 KB, including keys and metadata.
const MaxCommit = 380 << 10

// maxConflicts is how often a command is decided again after another command took its
// place in the stream.
const maxConflicts = 64

// attempt is the execution of one command.
type attempt struct {
	of          *aggregate
	stream      Stream
	name        string // of the command
	payload     any
	id          CommandID
	from        fromHash // of id.Origin
	data        []byte   // the payload's JSON
	messageID   string
	causationID string
	since       time.Time // when a follower's cause was committed; zero: a user's command
	lookedUp    bool      // the whole log was searched for the id without success
	owned       bool      // only the owner may send it
	ifVersion   *int64
	Request
}

// Execute decides a command and appends the events, once per idempotency key. If the
// domain rejects it the error is an [*es.Rejection]. Other errors are [ErrUnavailable],
// [ErrDamaged], [es.ErrUnknownType] (a newer version of the program wrote an event), the
// context's error, and panics of domain code.
func (e *Engine) Execute(ctx context.Context, r Request) (Outcome, error) {
	if !es.ValidID(r.ID) {
		return Outcome{}, ErrInvalidID.Because("%q is not an id: %s", r.ID, es.IDRule)
	}
	a := e.aggregates[r.Aggregate]
	if a == nil || a.Internal && !r.Caller.System {
		return Outcome{}, ErrNotFound.Because("there is no aggregate %s with commands", r.Aggregate)
	}
	o, err := e.order(a, r)
	if err != nil {
		return Outcome{}, err
	}
	o.messageID = r.IdempotencyKey
	if o.messageID == "" {
		o.messageID = e.Clock.NewID()
	}
	// Keys are per user. No printable key contains the separator.
	o.identify(CommandID{Origin: "user:" + r.Caller.User + "\n" + o.messageID})
	return e.execute(ctx, o)
}

// note keeps errors from telling what the command says of people.
func (o *attempt) note(ctx context.Context) {
	if o.of.subject != nil {
		subjectsOf(ctx).add(o.stream, personalTexts(o.data, o.of.subject.sent[o.name])...)
	}
}

// order prepares a command. The caller sets its ids.
func (e *Engine) order(a *aggregate, r Request) (*attempt, error) {
	typ, data, err := a.EncodeCommand(r.Payload)
	if err != nil {
		return nil, fmt.Errorf("command for %s %q: %w", a.Name, r.ID, err)
	}
	if err := e.Authorize(r.Caller, a.Name, typ); err != nil {
		return nil, err
	}
	access := a.commands[typ].Access
	return &attempt{
		of: a, stream: Stream{a.Name, r.ID}, name: typ, payload: r.Payload, data: data,
		owned: access.Owner && !access.Admits(r.Caller), ifVersion: r.IfVersion, Request: r,
	}, nil
}

// sent reports whether a follower sends the command.
func (o *attempt) sent() bool { return !o.since.IsZero() }

func (o *attempt) identify(id CommandID) { o.id, o.from = id, hashFrom(id.Origin) }

// decision is the result of evaluating a command against an aggregate's current state.
type decision struct {
	done    bool // it was decided earlier: see outcome
	lookup  bool // it may have been decided earlier: search the log
	hidden  bool // somebody else owns it: a rejection must not reveal its state
	outcome Outcome
	events  []any
	err     error
	next    int64
	version int64
	link    []byte
	owner   string
	last    time.Time
	meta    es.Meta   // what the commit will have
	now     time.Time // by the clock
}

func (f *aggregateState) evaluate(o *attempt, now time.Time) (v decision) {
	f.Lock()
	defer f.Unlock()
	v = decision{next: f.next, version: f.version, link: f.link, owner: f.owner, last: f.last, outcome: Outcome{Version: f.version}, now: now}
	v.meta = o.meta(f.owner, now, f.last)
	if o.owned && f.owner != o.Caller.User {
		v.err = notFound(o.of.Name, o.ID)
		return v
	}
	if r := f.find(o.from, o.id); r != nil {
		if o.since.IsZero() && !o.sameAs(r.Payload, f) {
			v.err = ErrKeyReused.Because("this Idempotency-Key was used on %s for another command; use a new key", o.stream.ID)
			return v
		}
		v.done = true
		if r.At == o.id.Seq && r.Nr == o.id.Index {
			v.outcome = Outcome{r.Version, r.Events}
		}
		return v
	}
	if !o.since.IsZero() && !o.lookedUp && f.mayBeEvicted(o.from, o.since) {
		v.lookup = true
		return v
	}
	v.hidden = f.version > 0 && f.owner != o.Caller.User && o.of.keepsFrom(o.Caller)
	other := o.ifVersion != nil && f.version != *o.ifVersion
	if other && !v.hidden {
		v.err = ErrVersionMismatch.Because("%s has version %d, If-Match says %d", o.stream.ID, f.version, *o.ifVersion)
		return v
	}
	if v.events, v.err = o.decide(f.state, v.meta); f.erased && o.of.storesPersonal(v.events) {
		v.events, v.err = nil, ErrSubjectErased.Because("%s was erased: nothing personal is stored about it any more", o.stream.ID)
	}
	if other && v.err == nil {
		v.events, v.err = nil, ErrVersionMismatch.Because("%s has another version than If-Match says", o.stream.ID)
	}
	return v
}

// keepsFrom reports whether the state of an aggregate that somebody else owns is hidden
// from the caller.
func (a *aggregate) keepsFrom(c es.Caller) bool {
	owned := false
	for _, cmd := range a.commands {
		if cmd.Access.Owner {
			if owned = true; cmd.Access.Admits(c) {
				return false
			}
		}
	}
	return owned
}

// hideState returns the rejection for a caller who does not own the aggregate: the answer
// that its first commit would have given, which reveals no more than that the id is
// taken. If that commit would have accepted the command, strangers may send it, and the
// rejection is returned as it is.
func (e *Engine) hideState(ctx context.Context, o *attempt, m es.Meta, rejection error) error {
	state := o.of.Initial
	err := e.commitsBy(ctx, o.stream, 0, 1, func(c Commit) (err error) {
		defer guardAt("fold", c.Stream, c.Seq, &err)
		decoded, err := o.of.decode(c)
		for _, d := range decoded {
			state = o.of.Evolve(d.Event, state)
		}
		if err != nil {
			return err
		}
		return errStop
	})
	if err != nil && !errors.Is(err, errStop) {
		return err
	}
	if _, first := o.decide(state, m); first != nil {
		return first
	}
	return rejection
}

func (o *attempt) decide(state any, m es.Meta) (events []any, err error) {
	defer guardAt("decide", o.stream, nowhere, &err)
	return o.of.Decide(o.payload, state, m)
}

// meta is what the command's commit will have. Its time is not before that of the stream's
// latest commit, nor of the cause.
func (o *attempt) meta(owner string, now, last time.Time) es.Meta {
	for _, t := range []time.Time{last, o.since} {
		if t.After(now) {
			now = t
		}
	}
	return es.Meta{
		MessageID: o.messageID, CorrelationID: cmp.Or(o.CorrelationID, o.messageID), CausationID: o.causationID,
		User: o.Caller.User, Owner: owner, Service: o.of.plugin, Time: now.UTC().Truncate(time.Millisecond),
	}
}

// execute decides a command, and appends what it decides, in a span of its own.
func (e *Engine) execute(ctx context.Context, o *attempt) (out Outcome, err error) {
	ctx = e.noting(ctx)
	o.note(ctx)
	if !e.traces() {
		out, err = e.decide(ctx, o)
		return out, discreet(ctx, err)
	}
	ctx, own, end := e.Tracer.Start(ctx, o.of.Name+" "+o.name, o.Traceparent, attrStream, o.stream.String(), attrCorrelation, o.CorrelationID)
	defer func() { end(err) }()
	o.Traceparent = own
	out, err = e.decide(ctx, o)
	return out, discreet(ctx, err)
}

// decide decides on the cached state. For a stream not seen before it speculates that
// the stream is empty. An append is conditional on the stream's end, so it proves that
// the state was current; any other answer is confirmed by a consistent read.
func (e *Engine) decide(ctx context.Context, o *attempt) (Outcome, error) {
	if e.StreamLock != nil {
		unlock, err := e.StreamLock.Lock(ctx, o.stream)
		if err != nil {
			return Outcome{}, fmt.Errorf("%s: %w", o.stream, err)
		}
		defer unlock()
	}
	f := e.cache.folded(o.of, o.stream.ID)
	defer e.cache.settle(f)
	confirmed := false
	confirm := func() error {
		confirmed = true
		return e.catchUp(ctx, f)
	}
	if o.preview != nil { // no append proves that the state was current
		if err := confirm(); err != nil {
			return Outcome{}, err
		}
	}
	for conflicts := 0; ; {
		if err := e.readKey(ctx, f); err != nil {
			return Outcome{}, err
		}
		v, rd := f.evaluate(o, e.Clock.Now()), reader{Engine: e, caller: o.Caller, loaded: map[Stream]es.Loaded{}, used: new(bool)}
		if v.done {
			return v.outcome, nil
		}
		if v.lookup {
			found, err := e.lookup(ctx, o)
			if err != nil || found {
				return v.outcome, err
			}
			o.lookedUp = true
			continue
		}
		if v.err == nil && len(v.events) > 0 {
			v.err = o.check(ctx, rd, v.meta)
		}
		if v.err != nil || len(v.events) == 0 {
			var no *es.Rejection
			if v.err != nil && !errors.As(v.err, &no) {
				return Outcome{}, fmt.Errorf("%s: %w", o.stream, v.err)
			}
			if confirmed && v.hidden && v.err != nil {
				return v.outcome, e.hideState(ctx, o, v.meta, v.err)
			}
			if confirmed && no != nil && o.sent() {
				err := e.reject(ctx, o, v.next, no)
				if conflicts++; errors.Is(err, ErrConflict) && conflicts <= maxConflicts {
					confirmed = false // the state has changed: it is decided again
				} else if err != nil {
					return Outcome{}, err
				}
			}
			if confirmed {
				return v.outcome, v.err
			}
			if err := confirm(); err != nil {
				return Outcome{}, err
			}
			continue
		}
		c, err := e.commit(ctx, o, v, rd)
		if err != nil {
			return Outcome{}, err
		}
		plain := c.Events
		if c, err = e.finish(ctx, o, f, c, v.link); errors.Is(err, ErrErased) && !confirmed {
			if err := confirm(); err != nil { // it was speculated that there is no such stream
				return Outcome{}, err
			}
			continue
		} else if err != nil {
			return Outcome{}, err
		}
		if o.sent() {
			if c.UnlessRejected = *rd.used || o.of.ByMeta; !c.UnlessRejected {
				no, err := e.rejected(ctx, o)
				if no != nil || err != nil {
					return v.outcome, cmp.Or(err, no)
				}
			}
		}
		if o.preview != nil {
			o.preview.Events = plain
			return v.outcome, nil
		}
		c = c.shared()
		err = e.Log.Append(ctx, c)
		var conflict *ConflictError
		switch {
		case err == nil:
			f.Lock()
			if f.next == c.Seq {
				if err := f.add(c, v.events, e.DedupWindow); err != nil || o.of.erased(v.events) {
					e.cache.drop(o.stream)
				} else if o.of.subject != nil {
					f.note(plain)
				}
			}
			f.Unlock()
			e.save(ctx, f)
			names := make([]string, len(c.Events))
			for i, s := range c.Events {
				names[i] = s.Type
			}
			return Outcome{c.Version, names}, nil
		case errors.As(err, &conflict):
			if conflicts++; conflicts > maxConflicts {
				return Outcome{}, ErrContention.Because("%s changes too fast; try again", o.stream.ID)
			}
			confirmed = false
			if conflicts == 1 && (f.wasRead() || o.decidedBy(conflict.Theirs)) {
				err = e.absorbTheirs(ctx, f, conflict.Theirs)
			} else {
				err = confirm()
			}
			if err != nil {
				return Outcome{}, err
			}
		case errors.Is(err, ErrRejected):
			no, err := e.rejected(ctx, o)
			return v.outcome, cmp.Or(err, no, error(ErrContention))
		default:
			return Outcome{}, fmt.Errorf("append to %s: %w", o.stream, err)
		}
	}
}

func (o *attempt) check(ctx context.Context, r es.Reader, m es.Meta) (err error) {
	if o.of.Check == nil {
		return nil
	}
	defer guardAt("check", o.stream, nowhere, &err)
	return o.of.Check(ctx, r, o.payload, m)
}

func (e *Engine) commit(ctx context.Context, o *attempt, v decision, r reader) (c Commit, err error) {
	defer guardAt("commit to", o.stream, nowhere, &err)
	c = Commit{Stream: o.stream, Seq: v.next, Version: v.version + int64(len(v.events))}
	size := 0
	for _, ev := range v.events {
		typ, version, data, err := o.of.EncodeEvent(ev)
		if err != nil {
			return c, fmt.Errorf("%s: %w", o.stream, err)
		}
		c.Events = append(c.Events, es.NewStoredEvent(typ, version, data))
		size += len(typ) + len(data) + 32
	}
	if size > MaxCommit {
		return c, ErrCommitTooLarge.Because("what this command decides on %s takes %d bytes, a commit holds at most %d", o.stream.ID, size, MaxCommit)
	}
	owner := v.owner
	if v.next == 0 {
		owner = o.Caller.User
		if o.of.Owner != nil {
			if owner, err = o.of.Owner(ctx, r, o.payload); err != nil {
				return c, fmt.Errorf("owner of %s: %w", o.stream, err)
			}
		}
	}
	if v.last.Sub(v.now) > 5*time.Minute {
		e.Count(ClockBehind, o.of.Name)
		e.Logger.WarnContext(ctx, "the stream's latest commit is from the future: check the clocks", "stream", o.stream, "latest", v.last, "now", v.now)
	}
	c.Meta = Meta{
		Command: o.id, MessageID: v.meta.MessageID, CorrelationID: v.meta.CorrelationID, CausationID: v.meta.CausationID,
		User: v.meta.User, Owner: owner, Service: v.meta.Service, Time: v.meta.Time, Traceparent: o.Traceparent,
		Bulk: IsBulk(ctx),
	}
	return c, nil
}

// readKey has the state know the key of what is personal, if there is one. Of a stream that
// is not read yet, which may be a new one, it does not ask.
func (e *Engine) readKey(ctx context.Context, f *aggregateState) error {
	o := e.openerFor(f)
	if f.of.subject == nil || o.known || !f.wasRead() {
		return nil
	}
	if err := o.ask(ctx); err != nil {
		return err
	}
	f.learn(o)
	return nil
}

// finish gives a commit what it is stored with: the hash of its command, what is personal
// sealed, and its own hash. ErrErased says that there is no key for it, and never will be.
func (e *Engine) finish(ctx context.Context, o *attempt, f *aggregateState, c Commit, link []byte) (Commit, error) {
	if o.preview != nil {
		return c, nil
	}
	if o.of.subject == nil {
		c.Meta.Payload = hashCommand(nil, o.name, o.data)
	} else {
		k := e.openerFor(f)
		if k.key == nil && !k.erased {
			var err error
			if k.key, err = e.Keys.Key(ctx, o.stream, true); err != nil {
				return c, fmt.Errorf("key of %s: %w", o.stream, err)
			}
			f.learn(k)
		}
		if !k.erased {
			c.Meta.Payload = hashCommand(k.key, o.name, o.data)
			events := make([]es.StoredEvent, len(c.Events))
			for i, ev := range c.Events {
				var err error
				if events[i], err = o.of.sealed(o.stream, k.key, ev); err != nil {
					return c, err
				}
			}
			c.Events = events
		}
	}
	if e.Unsealed {
		return c, nil
	}
	return c.seal(link)
}

// sameAs reports whether the payload of a command that was decided is this one's. Where the
// key of its hash is gone, nobody can tell, and it counts as the same.
func (o *attempt) sameAs(payload string, f *aggregateState) bool {
	plain := payload == hashCommand(nil, o.name, o.data) // as earlier versions stored all of them
	if o.of.subject == nil || plain {
		return plain
	}
	return f.key == nil || payload == hashCommand(f.key, o.name, o.data)
}
