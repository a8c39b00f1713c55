package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"onlineshop/es/engine"
	"onlineshop/es/wire"
)

// settleTime is how long after a commit its rows must have it.
const settleTime = 15 * time.Minute

// addVerify adds what shows that the log, and what follows from it, is what it was.
func (a *api) addVerify() error {
	return errors.Join(
		a.add(&endpoint{
			method: http.MethodPost, path: "/operations/verify", tag: operations, name: "verify",
			summary: "Look at a page of streams: whether each is whole, and what follows from it equals what its log says. It changes nothing", allow: admin,
			body: true, payload: stepSchema, bodyOptional: true, answers: verifiedSchema, refuses: []int{413, 415, 422}, serve: a.verify,
		}),
		a.add(&endpoint{
			method: http.MethodPost, path: "/operations/head", tag: operations, name: "head",
			summary: "The link of one commit of a stream: a stream that only grew still has all that it had", allow: admin,
			body: true, payload: headSchema, answers: pageSchema(headItem), refuses: []int{413, 415, 422}, serve: a.head,
		}),
	)
}

var (
	headItem = &schema{"Head", record(object{
		"stream": text, "seq": count, "link": object{"type": "string", "contentEncoding": "base64", "description": "absent: the commit is of an earlier version"},
	}, "link"), nil}
	headSchema     = inline(record(object{"stream": text, "seq": count}))
	verifiedSchema = inline(record(object{
		"done": count, "next": stepCursor,
		"claims": record(object{
			"streams": object{"type": "integer", "minimum": 0, "description": "without a gap, chained, and decoded by this program"},
			"commits": count, "hashed": object{"type": "integer", "minimum": 0, "description": "commits with a hash; others are of earlier versions"},
			"rows":    object{"type": "integer", "minimum": 0, "description": "equal to what their logs say"},
			"behind":  object{"type": "integer", "minimum": 0, "description": "rows that have not seen the latest commits yet"},
			"cursors": object{"type": "integer", "minimum": 0, "description": "not beyond the end of their streams"},
		}),
		"findings": listOf(record(object{"stream": text, "detail": text})),
		"heads":    listOf(headItem.ref()),
	}, "next"), headItem)
)

func (a *api) verify(c *call) (*answer, error) {
	s, err := c.step(stepSchema)
	if err != nil {
		return nil, err
	}
	v, err := a.Operations.Verify(c.Context(), s.cursor, time.Now().Add(-settleTime))
	switch {
	case errors.Is(err, engine.ErrCursor):
		return nil, errMalformed.Because("%s", engine.ErrCursor)
	case err != nil:
		return nil, err
	}
	if v.Next, err = c.encodeCursor(v.Next); err != nil {
		return nil, err
	}
	return &answer{body: marshal(v)}, nil
}

func (a *api) head(c *call) (*answer, error) {
	type place struct {
		stream engine.Stream
		seq    int64
	}
	at, err := wire.ReadSent(c.body, false, func(v wire.Value) (p place) {
		f := v.Fields()
		defer f.Done()
		p.stream, p.seq = c.readStream(f.Field("stream")), f.Field("seq").Int(64)
		return p
	})
	if err != nil {
		return nil, err
	}
	head, err := a.Engine.HeadAt(c.Context(), at.stream, at.seq)
	if err != nil {
		return nil, err
	}
	p := page{Items: []json.RawMessage{}}
	if head != nil {
		p.Items = append(p.Items, marshal(head))
	}
	return &answer{body: marshal(p)}, nil
}
