package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// maxDelay is how long SQS holds a message back. A hint that is due later waits among
// its plugin's cursors until the tick sends it.
const maxDelay = 15 * time.Minute

// horizon is how far ahead the tick looks. That leaves it some minutes to fail in before
// anything is late, and it never looks at what has just been put off.
const horizon = maxDelay - 5*time.Minute

// dueShards is over how many keys of the index the waiting hints are spread, so that many
// at once don't meet the limit of one key.
const dueShards = 8

// dueTime is a due time as it sorts: in whole seconds, not before its time.
func dueTime(t time.Time) string {
	return t.Add(time.Second - 1).UTC().Format("2006-01-02T15:04:05Z")
}

func dueShard(n uint32) string { return wiring.DuePrefix + strconv.FormatUint(uint64(n%dueShards), 10) }

// keepUntil writes hints down until they are due. The same hint of the same due time is the
// same item, however often it is sent.
func (h *hints) keepUntil(ctx context.Context, due time.Time, list []engine.Hint) error {
	for _, x := range list {
		x.Commit, x.Entry = nil, nil // which the follower reads in the log
		body, err := encodeHint(x)
		if err != nil {
			return fmt.Errorf("hint for %s on %s: %w", x.Follower, x.Stream, err)
		}
		table, err := h.store.cursors(engine.ParseConsumer(x.Follower).Plugin())
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		shard := fnv.New32a()
		_, _ = shard.Write(sum[:]) // never fails
		order := dueTime(due) + "\n" + hex.EncodeToString(sum[:])
		e := newExpression()
		var sets []string
		for name, v := range (item{wiring.Consumer: str(dueShard(shard.Sum32())), wiring.Order: str(order), attrHint: str(string(body))}) {
			sets = append(sets, e.name(name)+" = "+e.value(v))
		}
		if _, err := h.store.update(ctx, table, item{wiring.Key: str(wiring.DuePrefix + order)}, e, "SET "+strings.Join(sets, ", "), ""); err != nil {
			return fmt.Errorf("keep a hint for %s on %s until %s: %w", x.Follower, x.Stream, due, err)
		}
	}
	return nil
}

// sendDue sends the plugin's waiting hints that are due soon to their inboxes, with what is
// left of their delay, and then forgets them. One that is sent and not forgotten is sent
// again, which does no harm.
func (p *Platform) sendDue(ctx context.Context, plugin string, now time.Time) (sent int, err error) {
	table, err := p.store.cursors(plugin)
	if err != nil {
		return 0, err
	}
	var (
		mu   sync.Mutex
		errs []error
		work sync.WaitGroup
	)
	for n := range uint32(dueShards) {
		work.Go(func() {
			done, err := p.sendShard(ctx, table, dueShard(n), now)
			mu.Lock()
			defer mu.Unlock()
			sent += done
			errs = append(errs, err)
		})
	}
	work.Wait()
	return sent, errors.Join(errs...)
}

func (p *Platform) sendShard(ctx context.Context, table *string, shard string, now time.Time) (sent int, err error) {
	e := newExpression()
	condition := e.name(wiring.Consumer) + " = " + e.value(str(shard)) + " AND " + e.name(wiring.Order) + " < " + e.value(str(dueTime(now.Add(horizon))))
	in := &dynamodb.QueryInput{
		TableName: table, IndexName: awssdk.String(wiring.Consumer), KeyConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values, Limit: awssdk.Int32(100),
	}
	var errs []error
	for !deadlineNear(ctx) {
		out, err := p.store.db.Query(ctx, in)
		if err != nil {
			return sent, failure(err)
		}
		for _, i := range out.Items {
			if err := p.sendOne(ctx, i, now); err != nil {
				errs = append(errs, err) // the others don't wait for it
				continue
			}
			if _, err := p.store.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: table, Key: item{wiring.Key: i[wiring.Key]}}); err != nil {
				return sent, failure(err)
			}
			sent++
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			break
		}
	}
	return sent, errors.Join(errs...)
}

func (p *Platform) sendOne(ctx context.Context, i item, now time.Time) error {
	at, _, _ := strings.Cut(text(i, wiring.Order), "\n")
	due, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return fmt.Errorf("a hint that waits: %w", err)
	}
	var m hintMessage
	if err := json.Unmarshal([]byte(text(i, attrHint)), &m); err != nil {
		return fmt.Errorf("a hint that waits until %s: %w", at, err)
	}
	hint, err := m.hint()
	if err != nil {
		return fmt.Errorf("a hint that waits until %s: %w", at, err)
	}
	if _, here := p.engine.Target(hint.Follower); !here {
		p.log.WarnContext(ctx, "a hint that has waited is for nobody: there is no such follower any more", "follower", hint.Follower, "stream", hint.Stream)
		return nil
	}
	return (*hints)(p).Send(ctx, max(0, due.Sub(now)), hint)
}
