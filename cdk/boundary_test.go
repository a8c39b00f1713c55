package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"onlineshop/platform/aws/wiring"
)

// What side effects hear of others comes to a queue, and from there, by stream, to their
// inbox: both are read by the function that runs them.
func TestSideEffectsHearOtherPlugins(t *testing.T) {
	m := unusual()
	rule := m.get(t, "AWS::Events::Rule", "QuietOrderingOrdersBoundaryRule")
	if got := rule.at("EventPattern", "source") + "/" + rule.at("EventPattern", "detail-type") + " to " + rule.at("Targets", 0, "Arn") + ", else " + rule.at("Targets", 0, "DeadLetterConfig", "Arn"); got != "Ordering/Ordering.Orders to QuietBoundaryInbox, else QuietBoundaryDeadLetters" {
		t.Errorf("the rule brings %s", got)
	}
	var read []string
	for _, mapping := range m.of("AWS::Lambda::EventSourceMapping") {
		if mapping.at("FunctionName") == "QuietNotifications" {
			read = append(read, mapping.at("EventSourceArn"))
		}
	}
	slices.Sort(read)
	if want := []string{"QuietBoundaryInbox", "QuietInbox"}; !slices.Equal(read, want) {
		t.Errorf("the function reads %v, want %v", read, want)
	}
	may := map[string]bool{}
	for _, p := range m.permissions()["QuietNotifications"] {
		may[p.action+" "+p.resource] = true
	}
	for _, want := range []string{"sqs:SendMessage QuietInbox", "sqs:ReceiveMessage QuietBoundaryInbox", "lambda:InvokeFunction OrderingEventMappingPublications"} {
		if !may[want] {
			t.Errorf("it may not %s: %v", want, may)
		}
	}
	if may["sqs:SendMessage QuietBoundaryInbox"] {
		t.Error("it may put into the queue what others publish")
	}
	var told wiring.Wiring
	if err := json.Unmarshal([]byte(text(m.get(t, "AWS::Lambda::Function", "QuietNotifications").variables()[wiring.Variable])), &told); err != nil {
		t.Fatal(err)
	}
	if told.Inboxes["Quiet"] == "" || !strings.Contains(told.Plugins["Ordering"].EventMapping, "Publications") || told.Plugins["Ordering"].Events != "" {
		t.Errorf("it is told %+v", told)
	}
	// Who has none has no such queue
	for name := range m.of("AWS::SQS::Queue") {
		if strings.Contains(name, "Boundary") && !strings.HasPrefix(name, "QuietBoundary") {
			t.Errorf("there is a queue %s", name)
		}
	}
}
