package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// A batch of SQS and of EventBridge has at most so many messages and bytes, their
// envelopes included.
const (
	batchMessages = 10
	batchBytes    = 240 << 10
)

// forEachBatch splits messages of those sizes.
func forEachBatch[T any](all []T, size func(T) int, do func([]T) error) error {
	for len(all) > 0 {
		n, bytes := 0, 0
		for n < len(all) && n < batchMessages && (n == 0 || bytes+size(all[n]) <= batchBytes) {
			bytes += size(all[n])
			n++
		}
		if err := do(all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// sendWithRetry sends a batch and again what was refused of it, with back-off and
// jitter. What is still refused then is an [engine.ErrUnavailable].
func sendWithRetry[T any](ctx context.Context, clock engine.Clock, batch []T, send func([]T) (refused []T, reason string, err error)) error {
	const attempts = 5
	for i := 0; ; i++ {
		refused, reason, err := send(batch)
		if err != nil {
			return failure(err)
		}
		if len(refused) == 0 {
			return nil
		}
		if i == attempts-1 {
			return fmt.Errorf("%w: %d messages were refused: %s", engine.ErrUnavailable, len(refused), reason)
		}
		batch = refused
		if err := clock.Sleep(ctx, 50*time.Millisecond<<i); err != nil {
			return err
		}
	}
}

// hints implements [engine.Hints] with the inboxes.
type hints Platform

// message is one of a batch that is sent to a queue.
type message = sqstypes.SendMessageBatchRequestEntry

// Send implements [engine.Hints]. Erasures are done at once, by the function that follows
// the plugin's stream: they may whatever its operations may. Only mappings have a delay, so none is asked of
// a FIFO queue, which refuses one.
func (h *hints) Send(ctx context.Context, delay time.Duration, list ...engine.Hint) error {
	if delay > maxDelay {
		return h.keepUntil(ctx, h.clock.Now().Add(delay), list)
	}
	byQueue := map[string][]message{}
	seconds := int32((delay + time.Second - 1) / time.Second) // not before its time
	for _, x := range list {
		if engine.ParseConsumer(x.Follower).Kind == engine.KindErasure {
			if err := h.engine.Follow(ctx, x); err != nil {
				return err
			}
			continue
		}
		queue, err := h.inbox(x.Follower, x.Bulk)
		if err != nil {
			return err
		}
		b, err := encodeHint(x)
		if err != nil {
			return fmt.Errorf("hint for %s on %s: %w", x.Follower, x.Stream, err)
		}
		m := message{MessageBody: awssdk.String(string(b)), DelaySeconds: seconds}
		if isFIFO(queue) {
			// The same hint a minute later, as of a redrive, is no repeat that SQS may drop.
			m.MessageGroupId, m.MessageDeduplicationId = awssdk.String(messageGroup(x.Stream)), awssdk.String(h.clock.NewID())
		}
		byQueue[queue] = append(byQueue[queue], m)
	}
	for queue, messages := range byQueue {
		if err := h.sendAll(ctx, queue, messages); err != nil {
			return fmt.Errorf("send hints to %s: %w", queue, err)
		}
	}
	return nil
}

func (h *hints) sendAll(ctx context.Context, queue string, messages []message) error {
	return forEachBatch(messages, messageSize, func(batch []message) error {
		return sendWithRetry(ctx, h.clock, batch, func(batch []message) ([]message, string, error) {
			return h.send(ctx, queue, batch)
		})
	})
}

func messageSize(m message) int { return len(*m.MessageBody) + 200 }

func (h *hints) send(ctx context.Context, queue string, batch []message) (refused []message, reason string, err error) {
	for i := range batch {
		batch[i].Id = awssdk.String(strconv.Itoa(i))
	}
	out, err := h.sqs.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &queue, Entries: batch})
	if err != nil {
		return nil, "", err
	}
	for _, f := range out.Failed {
		reason = awssdk.ToString(f.Code) + " " + awssdk.ToString(f.Message)
		i, err := strconv.Atoi(awssdk.ToString(f.Id))
		if err != nil || i >= len(batch) || f.SenderFault {
			return nil, "", fmt.Errorf("a message was refused: %s", reason)
		}
		refused = append(refused, batch[i])
	}
	return refused, reason, nil
}

// isFIFO says whether a queue hands out the messages of one group one after the
// other. The inboxes of side effects do: two copies of a hint that are worked on
// at once would both find that nothing was sent yet. SQS has the names of such
// queues, and of no others, end like that.
func isFIFO(queue string) bool { return strings.HasSuffix(queue, ".fifo") }

// messageGroup is the stream's. It stands for the stream's name, which may have
// characters that a group's may not.
func messageGroup(s engine.Stream) string {
	h := sha256.Sum256([]byte(s.String()))
	return hex.EncodeToString(h[:])
}

// inbox is the queue of the follower's target aggregate, by lane, or that of its plugin's
// side effects, which has both: two queues would run one stream's at once.
func (h *hints) inbox(follower string, bulk bool) (string, error) {
	target, ok := h.engine.Target(follower)
	if !ok {
		return "", fmt.Errorf("hint for %s: there is no such follower here", follower)
	}
	if target == "" {
		target = engine.ParseConsumer(follower).Plugin()
	}
	if queue := h.Wiring.Inboxes[target+wiring.BulkInbox]; queue != "" && bulk {
		return queue, nil
	}
	if queue := h.Wiring.Inboxes[target]; queue != "" {
		return queue, nil
	}
	return "", fmt.Errorf("hint for %s: this function is not wired to the inbox of %s", follower, target)
}

// bus implements [engine.Bus] with EventBridge.
type bus Platform

// Publish implements [engine.Bus].
func (b *bus) Publish(ctx context.Context, entries ...engine.Entry) error {
	var requests []bustypes.PutEventsRequestEntry
	for _, e := range entries {
		detail, err := encodeEntry(e)
		if err != nil {
			return fmt.Errorf("publish %s at %d on %s: %w", e.Stream, e.Seq, e.Point, err)
		}
		requests = append(requests, b.request(naming.Plugin(e.Point), e.Point, detail, e.Time))
	}
	return b.put(ctx, requests...)
}

func (b *bus) request(plugin, detailType string, detail []byte, at time.Time) bustypes.PutEventsRequestEntry {
	return bustypes.PutEventsRequestEntry{
		EventBusName: &b.Wiring.Bus, Source: &plugin, DetailType: &detailType, Detail: awssdk.String(string(detail)), Time: &at,
	}
}

func (b *bus) put(ctx context.Context, requests ...bustypes.PutEventsRequestEntry) error {
	size := func(r bustypes.PutEventsRequestEntry) int {
		return len(*r.Detail) + len(*r.DetailType) + len(*r.Source) + 100
	}
	return forEachBatch(requests, size, func(batch []bustypes.PutEventsRequestEntry) error {
		return sendWithRetry(ctx, b.clock, batch, func(batch []bustypes.PutEventsRequestEntry) (refused []bustypes.PutEventsRequestEntry, reason string, err error) {
			out, err := b.bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: batch})
			if err != nil {
				return nil, "", err
			}
			for i, r := range out.Entries {
				if r.ErrorCode != nil {
					reason = *r.ErrorCode + " " + awssdk.ToString(r.ErrorMessage)
					refused = append(refused, batch[i])
				}
			}
			return refused, reason, nil
		})
	})
}

// publications implements [engine.Publications]: of a plugin that is not here it
// asks that plugin's eventmapping function.
type publications Platform

// Since implements [engine.Publications].
func (p *publications) Since(ctx context.Context, point string, s engine.Stream, from int64) (entries []engine.Entry, next int64, more bool, err error) {
	plugin := naming.Plugin(point)
	if (*Platform)(p).has(plugin) {
		return p.engine.Since(ctx, point, s, from)
	}
	a, err := (*Platform)(p).operate(ctx, plugin, wiring.Operation{Do: wiring.DoPublications, Point: point, Stream: s.String(), From: from})
	if err != nil {
		return nil, 0, false, err
	}
	var messages []entryMessage
	if err := json.Unmarshal(a.Publications, &messages); err != nil {
		return nil, 0, false, fmt.Errorf("publications at %s: %w", point, err)
	}
	for _, m := range messages {
		e, err := m.entry(point)
		if err != nil {
			return nil, 0, false, err
		}
		entries = append(entries, e)
	}
	return entries, a.From, a.More, nil
}
