package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// A batch of SQS and of EventBridge has at most so many messages and bytes, their
// envelopes included.
const (
	batchMessages = 10
	batchBytes    = 240 << 10
)

// batches splits messages of those sizes.
func batches[T any](all []T, size func(T) int, do func([]T) error) error {
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

// partly sends a batch and again what was refused of it, with back-off and
// jitter. What is still refused then is an [engine.ErrUnavailable].
func partly[T any](ctx context.Context, clock engine.Clock, batch []T, send func([]T) (refused []T, reason string, err error)) error {
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

// maxDelay is the longest delay of an SQS message.
const maxDelay = 15 * time.Minute

// Send implements [engine.Hints].
func (h *hints) Send(ctx context.Context, delay time.Duration, list ...engine.Hint) error {
	byQueue := map[string][]string{}
	for _, x := range list {
		queue, err := h.inbox(x.Follower)
		if err != nil {
			return err
		}
		b, err := encodeHint(x)
		if err != nil {
			return fmt.Errorf("hint for %s on %s: %w", x.Follower, x.Stream, err)
		}
		byQueue[queue] = append(byQueue[queue], string(b))
	}
	seconds := int32((min(delay, maxDelay) + time.Second - 1) / time.Second) // not before its time
	for queue, bodies := range byQueue {
		err := batches(bodies, func(b string) int { return len(b) + 100 }, func(batch []string) error {
			return partly(ctx, h.clock, batch, func(batch []string) ([]string, string, error) {
				return h.send(ctx, queue, seconds, batch)
			})
		})
		if err != nil {
			return fmt.Errorf("send hints to %s: %w", queue, err)
		}
	}
	return nil
}

func (h *hints) send(ctx context.Context, queue string, seconds int32, bodies []string) (refused []string, reason string, err error) {
	in := &sqs.SendMessageBatchInput{QueueUrl: &queue}
	for i, b := range bodies {
		in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(i)), MessageBody: &b, DelaySeconds: seconds,
		})
	}
	out, err := h.sqs.SendMessageBatch(ctx, in)
	if err != nil {
		return nil, "", err
	}
	for _, f := range out.Failed {
		reason = awssdk.ToString(f.Code) + " " + awssdk.ToString(f.Message)
		i, err := strconv.Atoi(awssdk.ToString(f.Id))
		if err != nil || i >= len(bodies) || f.SenderFault {
			return nil, "", fmt.Errorf("a message was refused: %s", reason)
		}
		refused = append(refused, bodies[i])
	}
	return refused, reason, nil
}

// inbox is the queue of the follower's target aggregate, or that of its plugin's
// side effects.
func (h *hints) inbox(follower string) (string, error) {
	target, ok := h.engine.Target(follower)
	if !ok {
		return "", fmt.Errorf("hint for %s: there is no such follower here", follower)
	}
	if target == "" {
		target = pluginOf(follower)
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
		requests = append(requests, b.request(pluginOf(e.Point), e.Point, detail, e.Time))
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
	return batches(requests, size, func(batch []bustypes.PutEventsRequestEntry) error {
		return partly(ctx, b.clock, batch, func(batch []bustypes.PutEventsRequestEntry) (refused []bustypes.PutEventsRequestEntry, reason string, err error) {
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
	plugin := pluginOf(point)
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
