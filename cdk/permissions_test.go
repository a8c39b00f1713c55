package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onlineshop/es"
	"onlineshop/platform/aws/wiring"
)

var update = flag.Bool("update", false, "write the golden files anew")

// permission is one action that a function may perform on one resource.
type permission struct {
	action, resource string
	condition        string // "" : always
}

// permissions are what each function may do, by all policies of its role.
func (t template) permissions() map[string][]permission {
	byRole := map[string][]permission{}
	policies := t.of("AWS::IAM::Policy")
	maps.Copy(policies, t.of("AWS::IAM::ManagedPolicy")) // what one has no room for
	for _, policy := range policies {
		for _, s := range policy.Properties["PolicyDocument"].(map[string]any)["Statement"].([]any) {
			s := s.(map[string]any)
			for _, role := range strings.Fields(policy.at("Roles")) {
				for _, action := range list(s["Action"]) {
					for _, on := range list(s["Resource"]) {
						byRole[role] = append(byRole[role], permission{text(action), text(on), condition(s["Condition"])})
					}
				}
			}
		}
	}
	out := map[string][]permission{}
	for name, f := range t.of("AWS::Lambda::Function") {
		out[name] = byRole[f.at("Role")]
	}
	return out
}

// list is a value that stands alone where it is the only one.
func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

func condition(v any) string {
	var all []string
	operators, _ := v.(map[string]any)
	for operator, keys := range operators {
		for key, values := range keys.(map[string]any) {
			all = append(all, fmt.Sprintf("%s %s %s", key, operator, text(values)))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " and ")
}

// The golden file is for people to read: who may do what on what.
func TestFunctionsMayDoWhatTheyNeedAndNothingElse(t *testing.T) {
	var entries []string
	all := usual().permissions()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var b strings.Builder
		b.WriteString(name)
		on := map[string][]string{}
		for _, p := range all[name] {
			where := p.resource
			if p.condition != "" {
				where += " where " + p.condition
			}
			on[where] = append(on[where], p.action)
		}
		for _, where := range slices.Sorted(maps.Keys(on)) {
			actions := on[where]
			slices.Sort(actions)
			fmt.Fprintf(&b, "\n  %s: %s", where, strings.Join(slices.Compact(actions), " "))
		}
		entries = append(entries, b.String())
	}
	golden(t, "permissions", entries)
}

func TestOnlyCommandAndImportFunctionsWriteEvents(t *testing.T) {
	for _, m := range []*made{usual(), unusual()} {
		writers := 0
		for name, permissions := range m.permissions() {
			for _, p := range permissions {
				events := strings.HasSuffix(p.resource, "Events") || strings.Contains(p.resource, "*") && strings.HasPrefix(p.action, "dynamodb:")
				if !events || p.action == "dynamodb:Query" || p.action == "dynamodb:Scan" || p.action == "dynamodb:ListStreams" {
					continue
				}
				aggregate, decides := strings.CutSuffix(name, "Command")
				plugin := strings.TrimSuffix(p.resource, "Events")
				streams := map[string]string{"ShippingScanLabels": "Parcel#*", "ShippingCollect": "Parcel#*", "ShippingTrack": "Parcel#*"}[name]
				if task, ok := taskFunctions()[name]; ok {
					streams = streamsOf(task, plugin)
				}
				if decides {
					streams = strings.TrimPrefix(aggregate, plugin) + "#*"
				}
				if name == "ShippingKnownAddressCommand" { // where it refuses, parcels hear of it
					streams = "Parcel#* KnownAddress#*"
				}
				if decides && p.action == "dynamodb:ConditionCheckItem" {
					p.action = "dynamodb:PutItem" // it may be asked of whatever may be written
				}
				want := permission{"dynamodb:PutItem", plugin + "Events", "dynamodb:LeadingKeys ForAllValues:StringLike " + streams}
				if writers++; streams == "" || p != want {
					t.Errorf("%s may %+v", name, p)
				}
			}
		}
		if writers == 0 {
			t.Error("nobody writes events")
		}
	}
}

// streamsOf are the streams that a task may write to: those of the aggregates that it
// names, or all of its plugin.
func streamsOf(task es.Task, plugin string) string {
	sends := task.Sends
	if sends == nil {
		sends = deployedPlugins[slices.IndexFunc(deployedPlugins, func(p es.Plugin) bool { return p.Name == plugin })].Aggregates
	}
	var streams []string
	for _, a := range sends {
		streams = append(streams, strings.TrimPrefix(a.Definition().Name, plugin+".")+"#*")
	}
	return strings.Join(streams, " ")
}

// What a task or a side effect reads beside aggregates is what it says that it reads.
func TestTasksAndSideEffectsReadWhatTheyDeclareAlone(t *testing.T) {
	m := unusual()
	reads := func(name string) (out []string) {
		for _, p := range m.permissions()[name] {
			if strings.Contains(p.resource, "Rows") || p.action == "dynamodb:Scan" {
				out = append(out, p.action+" "+p.resource)
			}
		}
		slices.Sort(out)
		return out
	}
	for name, want := range map[string][]string{
		"ShippingCollect": {
			"dynamodb:GetItem ShippingParcelsRows", "dynamodb:Query ShippingParcelsRows/index/by_orderId",
			"dynamodb:Scan ShippingEvents", "dynamodb:Scan ShippingParcelsRows",
		},
		"ShippingScanLabels":    nil, // which declares nothing
		"OrderingNotifications": nil,
		"QuietNotifications": { // cursors: which followers were there
			"dynamodb:GetItem QuietNoisesRows", "dynamodb:Query QuietNightsRows", "dynamodb:Query QuietNightsRows/index/keys",
			"dynamodb:Scan QuietCursors", "dynamodb:Scan QuietNoisesRows", "dynamodb:Scan QuietSqueaksRows",
		},
	} {
		if diff := cmp.Diff(want, reads(name)); diff != "" {
			t.Errorf("%s may read (-want +got):\n%s", name, diff)
		}
		var told wiring.Wiring
		if err := json.Unmarshal([]byte(text(m.get(t, "AWS::Lambda::Function", name).variables()[wiring.Variable])), &told); err != nil {
			t.Fatalf("wiring of %s: %v", name, err)
		}
		var tables []string
		for _, p := range m.permissions()[name] {
			if strings.HasSuffix(p.resource, "Rows") {
				tables = append(tables, p.resource)
			}
		}
		slices.Sort(tables)
		if diff := cmp.Diff(slices.Compact(tables), slices.Sorted(maps.Values(told.Rows))); diff != "" {
			t.Errorf("%s may read, and is told of, these tables (-may +told):\n%s", name, diff)
		}
	}
}

func TestNothingIsAllowedOnEverythingWithoutNeed(t *testing.T) {
	takeNoResource := []string{
		"xray:PutTraceSegments", "xray:PutTelemetryRecords", "dynamodb:ListStreams", "cloudwatch:GetMetricData",
	}
	for name, permissions := range unusual().permissions() {
		for _, p := range permissions {
			if strings.Contains(p.action, "*") {
				t.Errorf("%s may %s", name, p.action)
			}
			object := strings.HasPrefix(p.action, "s3:") && strings.HasSuffix(p.resource, "/*")
			mail := strings.HasSuffix(p.resource, ":identity/*") && strings.HasPrefix(p.condition, "ses:FromAddress StringEquals ")
			if strings.Contains(p.resource, "*") && !object && !mail && !slices.Contains(takeNoResource, p.action) {
				t.Errorf("%s may %s on %s", name, p.action, p.resource)
			}
		}
	}
}

func TestNoPluginPublishesAsAnother(t *testing.T) {
	got := map[string]string{}
	for name, permissions := range unusual().permissions() {
		for _, p := range permissions {
			if p.action == "events:PutEvents" {
				got[name] = p.condition
			}
		}
	}
	want := map[string]string{}
	for _, plugin := range pluginNames("Shipping", "Quiet") {
		want[plugin+"EventMapping"] = "events:source StringEquals " + plugin
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who publishes, and under which condition (-want +got):\n%s", diff)
	}
}

// What a role of the account may do by its own policies, whoever made it, is not
// for the stack to say; what may be done with its bus is.
func TestTheBusTakesAPluginsEventsFromNobodyElse(t *testing.T) {
	m := unusual()
	got := map[string]string{}
	for _, p := range m.of("AWS::Events::EventBusPolicy") {
		s := p.Properties["Statement"].(map[string]any)
		got[p.at("StatementId")] = fmt.Sprintf("%s %s %s on %s where %s", s["Effect"], text(s["Principal"]), text(s["Action"]), text(s["Resource"]), condition(s["Condition"]))
	}
	want := map[string]string{}
	for _, plugin := range pluginNames("Shipping", "Quiet") {
		want["cdk-"+plugin+"Source"] = "Deny * events:PutEvents on Bus where aws:PrincipalArn ArnNotEquals " +
			m.get(t, "AWS::Lambda::Function", plugin+"EventMapping").at("Role") + " and events:source ForAnyValue:StringEquals " + plugin
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the bus' policies (-want +got):\n%s", diff)
	}
	for name, r := range m.of("AWS::Events::Rule") {
		if source := r.at("EventPattern", "source"); source != "" && source != wiring.ObjectSource && want["cdk-"+source+"Source"] == "" { // AWS' own are reserved
			t.Errorf("%s hears events of %s, which anybody may put there", name, source)
		}
	}
}

func TestOnlyWhatIsToSendsEMailAndOnlyAsTheShop(t *testing.T) {
	senders := func(m *made) (out []string) {
		for name, permissions := range m.permissions() {
			for _, p := range permissions {
				if strings.HasPrefix(p.action, "ses:") {
					out = append(out, name+" "+p.condition)
				}
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	if got := senders(usual()); got != nil {
		t.Errorf("without a sender's address, e-mail is sent by %v", got)
	}
	const asTheShop = " ses:FromAddress StringEquals shop@example.com"
	if got, want := senders(unusual()), []string{"OrderingNotifications" + asTheShop, "QuietNotifications" + asTheShop, "ShippingCollect" + asTheShop}; !slices.Equal(got, want) {
		t.Errorf("e-mail is sent by %v, want %v", got, want)
	}
}

// What was kept before there was a sender is erased all the same.
func TestOnlyWhoErasesOrKeepsEMailMayRemoveIt(t *testing.T) {
	removers := func(m *made) (out []string) {
		for name, permissions := range m.permissions() {
			if slices.ContainsFunc(permissions, func(p permission) bool {
				return p.action == "s3:DeleteObjectVersion" && p.resource == "Reports/emails/*"
			}) {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		return out
	}
	if got, want := removers(usual()), []string{"OrderingEventMapping", "OrderingNotifications"}; !slices.Equal(got, want) {
		t.Errorf("without a sender's address, kept e-mail is removed by %v, want %v", got, want)
	}
	if got, want := removers(unusual()), []string{"OrderingEventMapping"}; !slices.Equal(got, want) {
		t.Errorf("with one, by %v, want %v", got, want)
	}
}

// golden compares with a file of testdata. Lines begin with the name of what they are
// about. A plugin that the file has no entry of is new: it may be added any time.
func golden(t *testing.T, name string, entries []string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	recorded, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	var got string
	isNew := func(text string) bool {
		return !*update && slices.ContainsFunc(pluginNames(), func(plugin string) bool {
			return strings.HasPrefix(strings.TrimSpace(text), plugin) && !strings.Contains("\n"+string(recorded), "\n"+plugin)
		})
	}
	for _, e := range slices.DeleteFunc(entries, isNew) {
		for line := range strings.Lines(e + "\n") {
			if !isNew(line) {
				got += line
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("not what %s says (-want +got):\n%s\nIf the change is meant, run: go test ./cdk -update", file, diff)
	}
}
