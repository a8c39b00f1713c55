package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"onlineshop/es/engine"
)

// heardMessage is a message of the bus that a side effect heard, and its first hint.
type heardMessage struct {
	events.SQSMessage
	engine.Hint
}

// queueUp puts messages into the inbox of their side effects as they are, each into its
// stream's group: a rule of EventBridge's can't, since it knows no streams. One that comes
// again is not put there again.
func (h *hints) queueUp(ctx context.Context, heard []heardMessage) error {
	byQueue := map[string][]message{}
	for _, m := range heard {
		queue, err := h.inbox(m.Follower, false)
		if err != nil {
			return err
		}
		byQueue[queue] = append(byQueue[queue], message{
			MessageBody: &m.Body, MessageGroupId: awssdk.String(messageGroup(m.Stream)), MessageDeduplicationId: &m.MessageId,
		})
	}
	for queue, messages := range byQueue {
		if err := h.sendAll(ctx, queue, messages); err != nil {
			return fmt.Errorf("put what was heard into %s: %w", queue, err)
		}
	}
	return nil
}
